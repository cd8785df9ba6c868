#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[init]
    fn new(&self) -> Self {
        Self
    }

    #[handler]
    async fn hello(&self) {}
}

fn main() {}
