#![allow(unused)]

use micro::prelude::*;

#[service]
trait Api {
    async fn hello(&self) -> u8;

    #[subscribe]
    async fn on(&self, order: u8);
}

fn main() {}
