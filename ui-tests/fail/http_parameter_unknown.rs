#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/add/{a}/{bb}")]
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

fn main() {}
