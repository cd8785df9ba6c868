#![allow(unused)]

use micro::prelude::*;

#[message]
fn hello() {}

fn main() {}
