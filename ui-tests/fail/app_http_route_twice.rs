#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler(public, get = "/v1/x/{a}")]
    async fn hello(&self, a: u8) {}
}

#[derive(Default)]
struct Other;

#[service]
impl Other {
    #[handler(public, get = "/v1/x/{b}")]
    async fn hello(&self, b: u8) {}
}

const APP: &[&micro::check::ServiceDescriptor] = micro::app![Greeter, Other];

fn main() {}
