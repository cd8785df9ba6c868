//! The contract: what callers need and nothing of how it is done. Servers and clients depend on this
//! crate, never on each other.

use micro::prelude::*;

/// What to price.
#[message]
pub struct QuoteRequest {
    /// The product.
    pub sku: String,
    /// How many.
    pub count: u32,
}

/// A price.
#[message]
#[derive(Debug, PartialEq)]
pub struct Quote {
    /// For all of them.
    pub cents: u64,
}

/// Why there is no price. It arrives at the caller as this type.
#[fault]
#[derive(Debug, PartialEq)]
pub enum QuoteError {
    /// Nobody sells it.
    UnknownSku(String),
    /// Not that many.
    TooMany {
        /// The most that can be had.
        most: u32,
    },
}

/// Prices of products.
#[service]
pub trait Quotes {
    /// Prices one product.
    #[handler(idempotent)]
    async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError>;

    /// Every price of a product from now on.
    async fn watch(&self, sku: String, prices: Sink<Quote>) -> Result<()>;
}
