#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service(nmae = "greeter")]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
