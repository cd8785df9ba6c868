#![allow(unused)]

use micro::prelude::*;

struct Trace;

#[derive(Default)]
struct Greeter;

#[service(intercept(Trace))]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
