#![allow(unused)]

use micro::prelude::*;

struct Db;

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, db: &Db) -> u8 {
        1
    }
}

fn main() {}
