#![allow(unused)]

use micro::prelude::*;

#[interceptor]
async fn trace(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

#[service]
trait Api {
    async fn hello(&self, name: String) -> u8;
    async fn bye(&self) {}
}

#[derive(Default)]
struct Server;

#[service(intercept(trace(except(hullo))))]
impl Api for Server {
    async fn hello(&self, name: String) -> u8 {
        1
    }
}

fn main() {}
