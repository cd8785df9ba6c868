#![allow(unused)]

use micro::prelude::*;

#[micro::main]
async fn main() -> std::io::Result<()> {
    Ok(())
}
