#![allow(unused)]

use micro::prelude::*;

async fn trace(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[derive(Default)]
struct Greeter;

#[service(intercept(trace))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
