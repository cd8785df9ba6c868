#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public idempotent)]
    async fn hello(&self) {}
}

fn main() {}
