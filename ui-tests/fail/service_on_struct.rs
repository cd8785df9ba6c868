#![allow(unused)]

use micro::prelude::*;

#[service]
struct Greeter;

fn main() {}
