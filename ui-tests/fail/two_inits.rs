#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[init]
    fn new() -> Self {
        Self
    }

    #[init]
    fn make() -> Self {
        Self
    }

    #[handler]
    async fn hello(&self) {}
}

fn main() {}
