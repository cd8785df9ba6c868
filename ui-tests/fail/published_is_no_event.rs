#![allow(unused)]

use micro::prelude::*;

#[message]
struct Order {
    id: u64,
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, ctx: &Context) -> Result<()> {
        ctx.publish(Order { id: 7 }).await
    }
}

fn main() {}
