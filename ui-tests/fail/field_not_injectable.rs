#![allow(unused)]

use micro::prelude::*;

struct Db;

#[derive(Inject)]
struct Greeter {
    db: Db,
}

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) {}
}

fn main() {}
