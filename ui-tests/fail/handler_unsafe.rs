#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async unsafe fn hello(&self) {}
}

fn main() {}
