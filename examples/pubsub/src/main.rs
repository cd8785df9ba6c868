//! Events: a service that publishes and two that listen, each group getting every event once.
//!
//! ```sh
//! cargo run -p pubsub                                                  # all three in one process
//! cargo run -p pubsub -- --services billing                            # or each in its own ..
//! cargo run -p pubsub -- --services shipping
//! cargo run -p pubsub -- --services orders
//! cargo run -p micro-cli -- call orders.place '{"sku":"tea"}'          # .. and an order
//! cargo run -p micro-cli -- subscribe 'orders.*'                       # watch from outside
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use micro::prelude::*;

/// An order was placed.
#[event("orders.created", key = id)]
pub struct OrderCreated {
    id: u64,
    sku: String,
}

/// Takes orders and says so.
#[derive(Default)]
pub struct Orders {
    last: AtomicU64,
}

#[service(emits(OrderCreated))]
impl Orders {
    /// Places an order; returns when the broker has the event.
    #[handler]
    async fn place(&self, ctx: &Context, sku: String) -> Result<u64> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        ctx.publish(OrderCreated { id, sku }).await?;
        Ok(id)
    }
}

/// Sends invoices.
#[derive(Default)]
pub struct Billing;

#[service]
impl Billing {
    #[subscribe("orders.*")]
    async fn invoice(&self, order: OrderCreated) {
        println!("billing:  an invoice for order {} ({})", order.id, order.sku);
    }
}

/// Packs parcels.
#[derive(Default)]
pub struct Shipping;

#[service]
impl Shipping {
    /// An error is delivered again, with growing pauses, and after five attempts goes to
    /// `orders.created.dead`.
    #[subscribe]
    async fn pack(&self, order: OrderCreated) -> Result<()> {
        if order.sku == "anvil" {
            return Err(Status::unavailable("too heavy for today"));
        }
        println!("shipping: a parcel for order {} ({})", order.id, order.sku);
        Ok(())
    }
}

#[micro::main]
async fn main() -> micro::Result<()> {
    micro::run().await
}
