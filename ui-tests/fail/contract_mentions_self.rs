#![allow(unused)]

use micro::prelude::*;

#[service]
trait Api {
    async fn hello(&self, other: Self) -> u8;
}

fn main() {}
