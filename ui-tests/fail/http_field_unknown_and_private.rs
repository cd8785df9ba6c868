#![allow(unused)]

use micro::prelude::*;

mod api {
    #[micro::message]
    pub struct HelloRequest {
        name: String,
        lang: String,
    }
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/{name}/{colour}")]
    async fn hello(&self, req: api::HelloRequest) {}
}

fn main() {}
