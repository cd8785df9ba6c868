#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/hello/{name}")]
    async fn hello(&self, name: String) {}

    #[handler(public, get = "/v1/hello/{id}")]
    async fn by_id(&self, id: u64) {}
}

fn main() {}
