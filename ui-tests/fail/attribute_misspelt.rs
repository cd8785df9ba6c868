#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) {}

    #[handlr]
    async fn bye(&self) {}
}

fn main() {}
