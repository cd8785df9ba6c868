#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/hello", post = "/v1/hello")]
    async fn hello(&self) {}
}

fn main() {}
