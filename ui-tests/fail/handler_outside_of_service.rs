#![allow(unused)]

use micro::prelude::*;

struct Greeter;

impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
