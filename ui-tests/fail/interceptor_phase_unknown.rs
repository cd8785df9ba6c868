#![allow(unused)]

use micro::prelude::*;

#[interceptor(phase = authentcate)]
async fn trace(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

fn main() {}
