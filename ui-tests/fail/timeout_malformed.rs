#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(timeout = "5 seconds")]
    async fn hello(&self) {}
}

fn main() {}
