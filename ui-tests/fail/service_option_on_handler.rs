#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(service = "greeter")]
    async fn hello(&self) {}
}

fn main() {}
