#![allow(unused)]

use micro::prelude::*;

#[fault]
enum Refused {
    Now,
}

type Res = std::result::Result<String, Refused>;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) -> Res {
        Ok(String::new())
    }
}

fn main() {}
