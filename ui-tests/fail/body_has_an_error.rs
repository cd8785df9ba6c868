#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, name: String) -> Result<String> {
        let length: u8 = name;
        Ok(name)
    }
}

fn main() {}
