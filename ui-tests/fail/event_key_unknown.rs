#![allow(unused)]

use micro::prelude::*;

#[event("orders.created", key = custmer)]
struct OrderCreated {
    id: u64,
    customer: String,
}

fn main() {}
