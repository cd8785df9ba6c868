#![allow(unused)]

use micro::prelude::*;

#[event("orders.created", key = customer)]
struct OrderCreated {
    customer: Vec<u8>,
}

fn main() {}
