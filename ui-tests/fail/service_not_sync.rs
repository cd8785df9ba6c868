#![allow(unused)]

use micro::prelude::*;

#[derive(Default)]
struct Local {
    n: std::cell::Cell<u8>,
}

#[service]
impl Local {
    #[handler]
    async fn hello(&self) -> u8 {
        self.n.get()
    }
}

fn main() {}
