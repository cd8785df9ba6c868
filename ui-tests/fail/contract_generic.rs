#![allow(unused)]

use micro::prelude::*;

#[service]
trait Api<T> {
    async fn hello(&self) -> u8;
}

fn main() {}
