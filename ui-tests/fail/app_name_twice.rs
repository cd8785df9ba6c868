#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

#[derive(Default)]
struct Other;

#[service(name = "greeter")]
impl Other {
    #[handler]
    async fn hello(&self) {}
}

const APP: &[&micro::check::ServiceDescriptor] = micro::app![Greeter, Other];

fn main() {}
