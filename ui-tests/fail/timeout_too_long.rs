#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(timeout = "61m")]
    async fn hello(&self) {}
}

fn main() {}
