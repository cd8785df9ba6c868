#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, out: Sink<u8>) -> u8 {
        1
    }
}

fn main() {}
