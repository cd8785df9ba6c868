//! A client of the contract: it knows the trait's crate and no server.
//!
//! ```sh
//! cargo run -p contract-server
//! cargo run -p contract-client
//! ```

use contract_api::{QuoteError, QuoteRequest, QuotesClient};
use micro::prelude::*;

#[micro::main]
async fn main() -> micro::Result<()> {
    let app = micro::connect().await?;
    let quotes: QuotesClient = app.service();

    let quote = quotes.quote(QuoteRequest { sku: "tea".into(), count: 2 }).timeout(secs(1)).await?;
    println!("two teas cost {} cents", quote.cents);

    match quotes.quote(QuoteRequest { sku: "anvil".into(), count: 1 }).await {
        Err(CallError::Fault(QuoteError::UnknownSku(sku))) => println!("nobody sells {sku}"),
        other => println!("unexpected: {other:?}"),
    }

    let mut prices = quotes.watch("tea".into()).await?;
    while let Some(price) = prices.next().await {
        println!("tea is now {} cents", price?.cents);
    }
    Ok(())
}
