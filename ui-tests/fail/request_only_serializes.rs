#![allow(unused)]

use micro::prelude::*;

#[derive(serde::Serialize)]
struct Half {
    x: u8,
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, req: Half) {}
}

fn main() {}
