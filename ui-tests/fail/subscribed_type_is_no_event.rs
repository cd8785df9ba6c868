#![allow(unused)]

use micro::prelude::*;

#[message]
struct Order {
    id: u64,
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[subscribe]
    async fn on(&self, order: Order) {}
}

fn main() {}
