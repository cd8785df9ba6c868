#![allow(unused)]

use micro::prelude::*;

struct Greeter;

impl Greeter {
    #[subscribe("orders.*")]
    async fn on(&self, order: u8) {}
}

fn main() {}
