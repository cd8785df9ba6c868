#![allow(unused)]

use micro::prelude::*;

#[interceptor(phase = user, provides(Tenant))]
async fn tenant(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[interceptor(phase = quota, requires(Tenant))]
async fn count(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[derive(Default)]
struct Greeter;

#[service(intercept(count, tenant))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
