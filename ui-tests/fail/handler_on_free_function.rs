#![allow(unused)]

use micro::prelude::*;

#[handler(service = "greeter")]
async fn hello(name: String) -> String {
    name
}

fn main() {}
