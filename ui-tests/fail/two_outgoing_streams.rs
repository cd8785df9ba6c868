#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, a: Sink<u8>, b: Sink<u8>) {}
}

fn main() {}
