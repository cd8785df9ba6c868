#![allow(unused)]

use micro::prelude::*;

#[derive(Inject)]
enum Either {
    A,
}

fn main() {}
