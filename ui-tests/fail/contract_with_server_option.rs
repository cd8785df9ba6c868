#![allow(unused)]

use micro::prelude::*;

#[service(intercept(trace))]
trait Api {
    async fn hello(&self) -> u8;
}

fn main() {}
