#![allow(unused)]

use micro::prelude::*;

#[service]
trait Api {
    async fn hello(&self, name: String) -> u8;
    async fn bye(&self) {}
}

#[derive(Default)]
struct Server;

impl Api for Server {
    async fn hello(&self, name: String) -> u8 {
        1
    }
}

#[micro::main(services(Server as Api))]
async fn main() -> micro::Result<()> {
    micro::run().await
}
