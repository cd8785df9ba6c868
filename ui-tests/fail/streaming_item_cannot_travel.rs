#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn sum(&self, input: Streaming<Plain>) -> u64 {
        0
    }
}

fn main() {}
