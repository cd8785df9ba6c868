//! A server of the contract.
//!
//! ```sh
//! cargo run -p contract-server
//! cargo run -p contract-client
//! ```

use contract_api::{Quote, QuoteError, QuoteRequest, Quotes};
use micro::prelude::*;

/// A fixed list of prices.
#[derive(Default)]
pub struct PriceList;

#[service]
impl Quotes for PriceList {
    async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError> {
        let each = match req.sku.as_str() {
            "tea" => 350,
            "mug" => 900,
            _ => return Err(QuoteError::UnknownSku(req.sku)),
        };
        if req.count > 100 {
            return Err(QuoteError::TooMany { most: 100 });
        }
        Ok(Quote { cents: each * u64::from(req.count) })
    }

    async fn watch(&self, sku: String, prices: Sink<Quote>) -> Result<()> {
        let base = sku.len() as u64 * 100;
        for step in 0..5 {
            prices.send(Quote { cents: base + step }).await?;
        }
        Ok(())
    }
}

#[micro::main]
async fn main() -> micro::Result<()> {
    micro::run().await
}
