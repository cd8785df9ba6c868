#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service(name = "Grüezi")]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
