#![allow(unused)]

use micro::prelude::*;

#[interceptor]
async fn trace(call: Incoming, next: Next<'_>) -> Outcome {
    let started = std::rc::Rc::new(1);
    let outcome = next.run(call).await;
    drop(started);
    outcome
}

fn main() {}
