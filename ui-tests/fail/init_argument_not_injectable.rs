#![allow(unused)]

use micro::prelude::*;

struct Db;

struct Greeter;

#[service]
impl Greeter {
    #[init]
    async fn new(db: Db) -> Result<Self> {
        Ok(Self)
    }

    #[handler]
    async fn hello(&self) {}
}

fn main() {}
