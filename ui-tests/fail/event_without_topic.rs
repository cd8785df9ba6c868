#![allow(unused)]

use micro::prelude::*;

#[event]
struct OrderCreated {
    id: u64,
}

fn main() {}
