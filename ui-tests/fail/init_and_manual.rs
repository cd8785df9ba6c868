#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service(manual)]
impl Greeter {
    #[init]
    fn new() -> Self {
        Self
    }

    #[handler]
    async fn hello(&self) {}
}

fn main() {}
