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
    #[handler]
    #[subscribe]
    async fn hello(&self, order: OrderCreated) {}
}

fn main() {}
