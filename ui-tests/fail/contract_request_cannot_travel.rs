#![allow(unused)]

use micro::prelude::*;

struct Plain;

#[service]
trait Api {
    async fn hello(&self, plain: Plain) -> u8;
}

fn main() {}
