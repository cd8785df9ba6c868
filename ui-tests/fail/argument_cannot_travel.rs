#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn add(&self, a: i64, b: Plain) -> i64 {
        a
    }
}

fn main() {}
