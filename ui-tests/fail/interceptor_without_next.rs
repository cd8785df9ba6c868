#![allow(unused)]

use micro::prelude::*;

#[interceptor]
async fn trace(call: Incoming) -> Outcome {
    unimplemented!()
}

fn main() {}
