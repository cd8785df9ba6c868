#![allow(unused)]

use micro::prelude::*;

#[interceptor]
async fn trace(call: String, next: Next<'_>) -> Outcome {
    unimplemented!()
}

fn main() {}
