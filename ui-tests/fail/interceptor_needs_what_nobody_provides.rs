#![allow(unused)]

use micro::prelude::*;

#[interceptor(phase = authorize, requires(Principal))]
async fn authz(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[derive(Default)]
struct Greeter;

#[service(intercept(authz))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
