#![allow(unused)]

use micro::prelude::*;

type Res = std::result::Result<String, Status>;

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
