//! A message as all groups share it: kept once, and put into its wire form once.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::broker::Message;

#[derive(Debug)]
pub(in crate::broker) struct Packed {
    pub(in crate::broker) message: Arc<Message>,
    pub(super) cost: usize,
    record: OnceLock<Bytes>,
}

impl Packed {
    pub(super) fn new(message: Arc<Message>) -> Self {
        Self { cost: cost(&message), message, record: OnceLock::new() }
    }

    /// The wire form, made by the first that asks.
    pub(in crate::broker) fn record(&self, make: impl FnOnce(&Message) -> Bytes) -> &Bytes {
        self.record.get_or_init(|| make(&self.message))
    }
}

/// Bytes that a message takes, about: what it holds, and what holding it needs.
fn cost(message: &Message) -> usize {
    let Message { id: _, topic, key, encoding: _, metadata, body } = message;
    let metadata: usize = metadata.iter().map(|(k, v)| k.len() + v.len() + 48).sum();
    256 + topic.as_str().len() + 2 * key.as_ref().map_or(0, String::len) + metadata + body.len()
}
