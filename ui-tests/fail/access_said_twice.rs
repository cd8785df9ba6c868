#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(roles = ["admin"], public)]
    async fn hello(&self) {}
}

fn main() {}
