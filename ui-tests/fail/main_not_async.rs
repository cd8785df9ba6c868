#![allow(unused)]

use micro::prelude::*;

#[micro::main]
fn main() -> micro::Result<()> {
    Ok(())
}
