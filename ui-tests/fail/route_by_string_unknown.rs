#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

const HELLO: u16 = micro::check::route(micro::check::descriptor::<Greeter, _>(), "helo");

fn main() {}
