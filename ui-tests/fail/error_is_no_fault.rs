#![allow(unused)]

use micro::prelude::*;

struct MyError;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) -> Result<String, MyError> {
        Err(MyError)
    }
}

fn main() {}
