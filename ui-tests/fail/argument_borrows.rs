#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, name: std::borrow::Cow<'_, str>) {}
}

fn main() {}
