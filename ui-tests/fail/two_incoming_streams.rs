#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, a: Streaming<u8>, b: Streaming<u8>) {}
}

fn main() {}
