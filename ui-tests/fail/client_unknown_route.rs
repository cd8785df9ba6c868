#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, name: String) {}
}

fn user() -> &'static str {
    GreeterClient::HELO.method
}

fn main() {}
