//! Services under strict lints.

use std::sync::atomic::{AtomicU64, Ordering};

use micro::prelude::*;
use micro::stream;

use crate::{Quote, QuoteError, QuoteRequest, Quotes, QuotesClient};

/// Serves the contract.
#[derive(Debug, Default)]
pub struct PriceList {
    calls: AtomicU64,
}

#[service(intercept(trace(except(health, add))))]
impl Quotes for PriceList {
    async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError> {
        let _before = self.calls.fetch_add(1, Ordering::Relaxed);
        if req.sku == "none" {
            return Err(QuoteError::UnknownSku(req.sku));
        }
        Ok(Quote { cents: 100 })
    }

    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn whoami(&self, who: &Principal) -> Result<String> {
        Ok(who.name.clone())
    }

    fn ticks(&self, upto: u32) -> impl Stream<Item = u32> {
        stream::iter(0..upto)
    }

    async fn numbers(&self, upto: u32) -> Result<impl Stream<Item = Result<u32>>> {
        if upto == 0 {
            return Err(Status::invalid_argument("nothing to count"));
        }
        Ok(stream::iter(
            (0..upto).map(|n| if n < 3 { Ok(n) } else { Err(Status::aborted("at 3")) }),
        ))
    }

    async fn sum(&self, mut numbers: Streaming<i64>, out: Sink<i64>) -> Result<()> {
        let mut total = 0;
        while let Some(number) = numbers.next().await {
            total += number?;
            out.send(total).await?;
        }
        Ok(())
    }

    async fn total(&self, mut numbers: Streaming<i64>) -> Result<i64, QuoteError> {
        let mut total = 0;
        while let Some(Ok(number)) = numbers.next().await {
            total += number;
        }
        if total < 0 {
            return Err(QuoteError::UnknownSku("negative".into()));
        }
        Ok(total)
    }

    /// Not of the contract, but of this server.
    #[subscribe]
    async fn on_order(&self, order: OrderCreated) {
        let _before = self.calls.fetch_add(order.id, Ordering::Relaxed);
    }
}

/// An order was placed.
#[event("orders.created", key = customer)]
#[derive(Clone, Debug)]
pub struct OrderCreated {
    /// The order.
    pub id: u64,
    /// Who placed it.
    pub customer: String,
}

/// Asks to place an order.
#[message]
#[derive(Debug)]
struct OrderRequest {
    sku: String,
    count: u64,
}

/// Sees every call.
#[interceptor(phase = observe)]
async fn trace(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

/// Finds out who calls.
#[interceptor(phase = authenticate, provides(Principal))]
async fn bearer(mut call: Incoming, next: Next<'_>) -> Outcome {
    if let Some(name) = call.context.metadata().get("user") {
        let principal = Principal { name: name.to_owned(), roles: vec!["buyer".into()] };
        call.context.set_principal(principal);
    }
    next.run(call).await
}

/// Lets in whom it knows.
#[interceptor(phase = authorize, requires(Principal))]
pub async fn known(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}

/// Orders; the client of another service is injected.
#[derive(Debug, Inject)]
pub struct Orders {
    quotes: QuotesClient,
    #[inject(value = AtomicU64::new(1))]
    next: AtomicU64,
    #[inject(default)]
    seen: AtomicU64,
}

#[service(secure, emits(OrderCreated), intercept(trace, bearer, known(except(health))))]
impl Orders {
    /// Places an order and returns its number.
    ///
    /// # Errors
    /// When the product is unknown.
    #[handler(post = "/v1/orders", roles = ["buyer"])]
    async fn place(&self, ctx: &Context, who: &Principal, req: OrderRequest) -> Result<u64> {
        let quote = self.quotes.quote(QuoteRequest { sku: req.sku }).retry(2).await?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(quote.cents * req.count > 0, "prices are positive");
        ctx.publish(OrderCreated { id, customer: who.name.clone() }).await?;
        Ok(id)
    }

    #[handler(public, idempotent)]
    async fn health(&self) -> bool {
        true
    }

    /// How many orders were heard of.
    #[handler(allow("audit", "quotes"))]
    pub async fn seen(self: std::sync::Arc<Self>) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    #[subscribe("orders.*", group = "orders-audit")]
    async fn audit(&self, ctx: &Context, order: OrderCreated) -> Result<()> {
        if ctx.time_left().is_zero() {
            return Err(Status::deadline_exceeded("too late"));
        }
        let _before = self.seen.fetch_add(order.id, Ordering::Relaxed);
        Ok(())
    }

    /// Not a handler, and not touched.
    #[must_use]
    pub const fn helper(&self) -> &QuotesClient {
        &self.quotes
    }
}

/// Functions without a struct.
#[service]
pub mod plain {
    use super::{Context, Result};

    /// Doubles a number.
    ///
    /// # Errors
    /// Never.
    #[handler(idempotent)]
    pub async fn double(n: i64) -> Result<i64> {
        Ok(twice(n))
    }

    /// Joins two words.
    #[handler]
    pub async fn join(ctx: &Context, a: String, b: String) -> String {
        let joint = if ctx.time_left().is_zero() { "" } else { " " };
        format!("{a}{joint}{b}")
    }

    const fn twice(n: i64) -> i64 {
        n * 2
    }
}
