//! What the shop sells, and for how much.

use micro::prelude::*;

/// Why there is no price.
#[fault(code = not_found)]
#[derive(Debug, PartialEq)]
pub enum PriceError {
    /// The shop does not sell it.
    UnknownSku(String),
}

/// Knows prices.
#[derive(Default)]
pub struct Catalog;

#[service]
impl Catalog {
    /// The price of one piece, in cents.
    #[handler(idempotent, public, get = "/v1/prices/{sku}")]
    pub async fn price(&self, sku: String) -> Result<u64, PriceError> {
        match sku.as_str() {
            "tea" => Ok(350),
            "mug" => Ok(900),
            _ => Err(PriceError::UnknownSku(sku)),
        }
    }
}
