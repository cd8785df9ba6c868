#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/users/{name}")]
    async fn user(&self) {}
}

fn main() {}
