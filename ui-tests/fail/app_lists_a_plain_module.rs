#![allow(unused)]

use micro::prelude::*;

mod greeter {}

const APP: &[&micro::check::ServiceDescriptor] = micro::app![greeter];

fn main() {}
