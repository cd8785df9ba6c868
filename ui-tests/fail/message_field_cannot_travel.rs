#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[message]
struct Hello {
    plain: Plain,
}

fn main() {}
