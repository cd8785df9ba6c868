//! The courier of the embedded broker: messages to other processes as one call of `_micro.events` each.

use super::ask;
use super::builtin;
use crate::broker::direct::Courier;
use crate::call::BoxFuture;
use crate::client::Client;
use crate::registry::Instance;
use crate::status::Result;
use crate::stream::{Items, Outbound};

/// Delivers over the connections of a client.
pub(super) struct ClientCourier(pub(super) Client);

impl Courier for ClientCourier {
    fn open<'a>(&'a self, to: &'a Instance, outbound: Outbound) -> BoxFuture<'a, Result<Items>> {
        Box::pin(ask::open(&self.0, to, builtin::EVENTS, outbound))
    }
}
