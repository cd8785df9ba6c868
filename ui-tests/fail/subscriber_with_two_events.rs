#![allow(unused)]

use micro::prelude::*;

#[event("orders.created")]
struct OrderCreated {
    id: u64,
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[subscribe]
    async fn on(&self, one: OrderCreated, two: OrderCreated) {}
}

fn main() {}
