#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(idempotent)]
    async fn look(&self) {}

    #[handler]
    async fn charge(&self, cents: u64) {}
}

async fn user(greeter: GreeterClient) {
    let _ = greeter.look().retry(3).await;
    let _ = greeter.charge(5).retry(3).await;
}

fn main() {}
