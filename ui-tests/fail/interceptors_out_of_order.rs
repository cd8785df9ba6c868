#![allow(unused)]

use micro::prelude::*;

#[interceptor(phase = authenticate, provides(Principal))]
async fn authn(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[interceptor(phase = authorize, requires(Principal))]
async fn authz(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[derive(Default)]
struct Greeter;

#[service(intercept(authz, authn))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
