#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(get = "/v1/hello")]
    async fn hello(&self) {}
}

fn main() {}
