#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/sum")]
    async fn sum(&self, input: Streaming<u64>) -> u64 {
        0
    }
}

fn main() {}
