#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) {}

    #[handler(name = "hello")]
    async fn hi(&self) {}
}

fn main() {}
