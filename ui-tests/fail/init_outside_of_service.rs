#![allow(unused)]

use micro::prelude::*;

struct Greeter;

impl Greeter {
    #[init]
    async fn new() -> Self {
        Self
    }
}

fn main() {}
