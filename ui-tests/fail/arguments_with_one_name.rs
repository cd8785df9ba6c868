#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, name: u8, _name: u8) {}
}

fn main() {}
