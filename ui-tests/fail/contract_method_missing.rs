#![allow(unused)]

use micro::prelude::*;

#[service]
trait Api {
    async fn hello(&self, name: String) -> u8;
    async fn bye(&self) {}
}

#[derive(Default)]
struct Server;

#[service]
impl Api for Server {
    async fn bye(&self) {}
}

fn main() {}
