#![allow(unused)]

use micro::prelude::*;

#[micro::main(service(Greeter))]
async fn main() -> micro::Result<()> {
    micro::run().await
}
