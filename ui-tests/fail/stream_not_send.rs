#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    fn ticks(&self) -> impl Stream<Item = u32> {
        let step = std::rc::Rc::new(1);
        micro::stream::iter([1, 2].into_iter().map(move |n| n * *step))
    }
}

fn main() {}
