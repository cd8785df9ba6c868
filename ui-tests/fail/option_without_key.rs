#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service("greeter")]
impl Greeter {
    #[handler("say-hello")]
    async fn hello(&self) {}
}

fn main() {}
