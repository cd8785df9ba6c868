#![allow(unused)]

use micro::prelude::*;

#[message]
struct HelloRequest {
    name: String,
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/hello/{nmae}")]
    async fn hello(&self, req: HelloRequest) {}
}

fn main() {}
