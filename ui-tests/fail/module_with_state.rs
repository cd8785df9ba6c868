#![allow(unused)]

use micro::prelude::*;

#[service]
mod greeter {
    use micro::prelude::*;

    #[init]
    fn new() {}

    #[handler]
    async fn hello() {}
}

fn main() {}
