#![allow(unused)]

use micro::prelude::*;

#[micro::main]
async fn main(args: Vec<String>) -> micro::Result<()> {
    Ok(())
}
