#![allow(unused)]

use micro::prelude::*;

#[message]
struct Hello<'a> {
    name: &'a str,
}

fn main() {}
