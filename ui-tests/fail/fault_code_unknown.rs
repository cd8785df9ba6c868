#![allow(unused)]

use micro::prelude::*;

#[fault(code = notfound)]
enum Missing {
    Sku,
}

fn main() {}
