//! The service that is called.

use futures_util::{StreamExt, TryStreamExt};
use micro::Blob;
use micro::prelude::*;

use crate::events::Tick;

/// How many publishes are under way at a time: `publish` returns when the broker has the event, and a
/// publisher that waits for each one alone measures the round trip.
const PUBLISHING: usize = 64;

/// What is echoed.
#[message]
pub struct Msg {
    /// Which call it is.
    pub id: u64,
    /// Sixteen characters.
    pub name: String,
    /// As many as the cell says.
    pub payload: Blob,
}

/// Serves the calls of the benchmark.
#[derive(Default)]
pub struct Bench;

#[service]
impl Bench {
    /// Returns what it got.
    #[handler]
    async fn echo(&self, msg: Msg) -> Msg {
        msg
    }

    /// Streams so many messages of this size.
    #[handler]
    fn items(&self, count: u64, size: u64) -> impl Stream<Item = Msg> {
        let payload = Blob::from(kit::payload(size as usize));
        micro::stream::iter((0..count).map(move |id| Msg {
            id,
            name: kit::NAME.into(),
            payload: payload.clone(),
        }))
    }

    /// Never returns.
    #[handler]
    async fn hold(&self) {
        std::future::pending().await
    }

    /// Publishes so many events of this size.
    #[handler]
    async fn publish(&self, ctx: &Context, count: u64, size: u64) -> Result<()> {
        let payload = Blob::from(kit::payload(size as usize));
        futures_util::stream::iter(0..count)
            .map(|_| ctx.publish(Tick { payload: payload.clone() }))
            .buffer_unordered(PUBLISHING)
            .try_collect()
            .await
    }
}
