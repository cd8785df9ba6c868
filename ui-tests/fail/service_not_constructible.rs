#![allow(unused)]

use micro::prelude::*;

struct NoDefault {
    x: u8,
}

#[service]
impl NoDefault {
    #[handler]
    async fn hello(&self) -> u8 {
        self.x
    }
}

fn main() {}
