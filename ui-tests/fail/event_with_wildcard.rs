#![allow(unused)]

use micro::prelude::*;

#[event("orders.*")]
struct OrderCreated {
    id: u64,
}

fn main() {}
