#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/:name")]
    async fn hello(&self, name: String) {}
}

fn main() {}
