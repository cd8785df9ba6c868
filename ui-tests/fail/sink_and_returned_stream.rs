#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    fn hello(&self, out: Sink<u8>) -> impl Stream<Item = u8> {
        micro::stream::iter([1])
    }
}

fn main() {}
