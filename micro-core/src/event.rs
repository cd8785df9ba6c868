//! Events: messages that name their own topic.

use crate::codec::{Codec, Wire, codec};

/// A message that belongs on one topic; `#[event("orders.created")]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "has no topic",
    note = "write `#[event(\"orders.created\")]` above `{Self}`"
)]
pub trait Event: Wire {
    /// The topic.
    const TOPIC: &'static str;

    /// Messages with the same key are handled in the order of their publication.
    fn key(&self) -> Option<String> {
        None
    }
}

/// The functions of one event type. Made by [`event`] alone, like [`codec`].
#[derive(Debug)]
pub struct EventCodec<E> {
    /// The topic.
    pub topic: &'static str,
    /// Decodes and encodes.
    pub codec: Codec<E>,
}

/// The codec and topic of an event.
pub const fn event<E: Event>() -> EventCodec<E> {
    EventCodec { topic: E::TOPIC, codec: codec::<E>() }
}
