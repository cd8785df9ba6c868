#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service(secure)]
impl Greeter {
    #[handler(public)]
    async fn ping(&self) {}

    #[handler]
    async fn hello(&self) {}
}

fn main() {}
