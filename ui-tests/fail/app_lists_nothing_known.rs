#![allow(unused)]

use micro::prelude::*;

const APP: &[&micro::check::ServiceDescriptor] = micro::app![Greeter];

fn main() {}
