#![allow(unused)]

use micro::prelude::*;

struct Greeter;

const APP: &[&micro::check::ServiceDescriptor] = micro::app![Greeter];

fn main() {}
