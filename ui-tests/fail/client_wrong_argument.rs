#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, name: String) {}
}

async fn user(greeter: GreeterClient) {
    let _ = greeter.hello(1).await;
}

fn main() {}
