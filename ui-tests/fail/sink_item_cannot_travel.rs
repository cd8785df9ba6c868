#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn ticks(&self, upto: u32, out: Sink<Plain>) -> Result<()> {
        Ok(())
    }
}

fn main() {}
