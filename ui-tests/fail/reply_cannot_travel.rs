#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) -> Result<Plain> {
        Ok(Plain)
    }
}

fn main() {}
