#![allow(unused)]

use micro::prelude::*;

#[message]
#[derive(Clone, serde::Serialize)]
struct Hello {
    name: String,
}

fn main() {}
