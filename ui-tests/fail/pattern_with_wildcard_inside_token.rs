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
    #[subscribe("orders.cr*")]
    async fn on(&self, order: OrderCreated) {}
}

fn main() {}
