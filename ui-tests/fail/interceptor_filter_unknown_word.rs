#![allow(unused)]

use micro::prelude::*;

#[interceptor]
async fn trace(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[derive(Default)]
struct Greeter;

#[service(intercept(trace(excpt(hello))))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
