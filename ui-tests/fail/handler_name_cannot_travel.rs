#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(name = "Say Hello")]
    async fn hello(&self) {}
}

fn main() {}
