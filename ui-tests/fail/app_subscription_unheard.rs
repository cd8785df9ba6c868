#![allow(unused)]

use micro::prelude::*;

#[event("orders.created")]
struct OrderCreated {
    id: u64,
}

#[event("orders.shipped")]
struct OrderShipped {
    id: u64,
}

#[derive(Default)]
struct Greeter;

#[service(emits(OrderCreated))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

#[derive(Default)]
struct Other;

#[service]
impl Other {
    #[subscribe]
    async fn on(&self, shipped: OrderShipped) {}
}

const APP: &[&micro::check::ServiceDescriptor] = micro::app![Greeter, Other];

fn main() {}
