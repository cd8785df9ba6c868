//! The courier of the embedded broker: messages to other processes as calls of `_micro.deliver`.

use super::ask::ask;
use super::builtin;
use crate::broker::direct::{Courier, DELIVERY_WAIT, Envelope};
use crate::call::BoxFuture;
use crate::client::Client;
use crate::registry::Instance;
use crate::status::Result;

/// Delivers over the connections of a client.
pub(super) struct ClientCourier(pub(super) Client);

impl Courier for ClientCourier {
    fn deliver<'a>(&'a self, to: &'a Instance, envelope: Envelope) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            ask(&self.0, to, builtin::DELIVER, envelope.encode()?, DELIVERY_WAIT).await.map(drop)
        })
    }
}
