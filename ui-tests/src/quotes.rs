//! A contract, as a crate that clients and servers share has it.

use micro::prelude::*;

/// Asks for a price.
#[derive(Clone, Debug, PartialEq, Eq)]
#[message]
pub struct QuoteRequest {
    /// The product.
    pub sku: String,
}

/// A price.
#[message]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// In cents.
    pub cents: u64,
}

/// Why there is no price.
#[fault(code = not_found)]
#[derive(PartialEq, Eq)]
pub enum QuoteError {
    /// No such product.
    UnknownSku(String),
}

/// Prices of products.
#[service(name = "quotes")]
pub trait Quotes {
    /// Quotes one product.
    #[handler(idempotent, public, get = "/v1/quotes/{sku}", timeout = "2s")]
    async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError>;
    /// Adds two numbers.
    async fn add(&self, a: i64, b: i64) -> i64;
    /// Says who is calling.
    async fn whoami(&self, who: &Principal) -> Result<String>;
    /// Nothing in, nothing out.
    #[handler(name = "health")]
    async fn ping(&self) {}
    /// Counts.
    fn ticks(&self, upto: u32) -> impl Stream<Item = u32>;
    /// Counts, or not.
    async fn numbers(&self, upto: u32) -> Result<impl Stream<Item = Result<u32>>>;
    /// The running sum.
    async fn sum(&self, numbers: Streaming<i64>, out: Sink<i64>) -> Result<()>;
    /// The sum at the end.
    async fn total(&self, numbers: Streaming<i64>) -> Result<i64, QuoteError>;
}
