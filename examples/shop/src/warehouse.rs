//! Holds the stock, and takes out what was ordered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use micro::prelude::*;

use crate::orders::OrderPlaced;

/// Pieces of each product when the shop opens.
const STOCK: i64 = 100;

/// Counts pieces.
#[derive(Default)]
pub struct Warehouse {
    taken: Mutex<HashMap<String, i64>>,
}

#[service]
impl Warehouse {
    /// How many pieces are left; below zero they must be bought first.
    #[handler(idempotent)]
    pub async fn stock(&self, sku: String) -> i64 {
        STOCK - self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(&sku).unwrap_or(&0)
    }

    /// Takes the pieces of an order out. Orders of one product come in order: the event's key says so.
    #[subscribe("orders.placed")]
    async fn pack(&self, order: OrderPlaced) {
        println!("order {}: {} x {}", order.id, order.count, order.sku);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.entry(order.sku).or_default() += i64::from(order.count);
    }
}
