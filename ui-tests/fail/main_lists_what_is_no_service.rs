#![allow(unused)]

use micro::prelude::*;

struct Greeter;

#[micro::main(services(Greeter))]
async fn main() -> micro::Result<()> {
    micro::run().await
}
