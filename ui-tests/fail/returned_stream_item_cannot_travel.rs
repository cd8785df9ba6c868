#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    fn ticks(&self) -> impl Stream<Item = Plain> {
        micro::stream::iter([Plain])
    }
}

fn main() {}
