#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service(version = "two", secure = true, client = "X", emits, intercept = trace)]
impl Greeter {
    #[handler(idempotent = true, roles = "admin", name = 7, timeout)]
    async fn hello(&self) {}
}

fn main() {}
