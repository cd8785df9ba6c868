#![allow(unused)]

use micro::prelude::*;

#[derive(Inject)]
struct State {
    #[inject(defualt)]
    count: u64,
}

fn main() {}
