//! Takes orders: asks the catalog for the price, and tells the warehouse by an event.

use std::sync::atomic::{AtomicU64, Ordering};

use micro::prelude::*;

use crate::catalog::{CatalogClient, PriceError};

/// An order was placed.
#[event("orders.placed", key = sku)]
pub struct OrderPlaced {
    /// Its number.
    pub id: u64,
    /// What was ordered.
    pub sku: String,
    /// How many.
    pub count: u32,
}

/// What may be ordered at once: `[app.order_limits]` in `micro.toml`.
#[message]
pub struct OrderLimits {
    /// Pieces in one order.
    most: u32,
}

impl Default for OrderLimits {
    fn default() -> Self {
        Self { most: 100 }
    }
}

/// Takes orders.
pub struct Orders {
    catalog: CatalogClient,
    events: Publisher,
    limits: Config<OrderLimits>,
    last: AtomicU64,
}

#[service(emits(OrderPlaced))]
impl Orders {
    #[init]
    async fn new(
        catalog: CatalogClient,
        events: Publisher,
        limits: Config<OrderLimits>,
    ) -> Result<Self> {
        Ok(Self { catalog, events, limits, last: AtomicU64::new(0) })
    }

    /// Places an order and returns what it costs, in cents.
    #[handler]
    pub async fn place(&self, sku: String, count: u32) -> Result<u64> {
        if !(1..=self.limits.most).contains(&count) {
            let most = self.limits.most;
            return Err(Status::invalid_argument(format!("`count` must be from 1 to {most}")));
        }
        let price = match self.catalog.price(sku.clone()).retry(3).await {
            Ok(price) => price,
            Err(CallError::Fault(PriceError::UnknownSku(sku))) => {
                return Err(Status::not_found(format!("the shop does not sell `{sku}`")));
            }
            Err(CallError::Status(status)) => return Err(status),
        };
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.events.publish(OrderPlaced { id, sku, count }).await?;
        Ok(price * u64::from(count))
    }
}
