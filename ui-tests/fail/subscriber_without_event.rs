#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[subscribe]
    async fn on(&self, ctx: &Context) {}
}

fn main() {}
