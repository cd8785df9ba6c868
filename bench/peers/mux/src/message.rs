//! The message, in the codec that the framework uses: MessagePack with the names of the fields.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// What is echoed.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub struct Msg {
    /// Which call it is.
    pub id: u64,
    /// Sixteen characters.
    pub name: String,
    /// As many bytes as the cell says.
    pub payload: Bytes,
}

impl Msg {
    /// A request.
    pub fn new(id: u64, payload: &Bytes) -> Self {
        Self { id, name: kit::NAME.into(), payload: payload.clone() }
    }

    /// Appends it.
    pub fn encode(&self, to: &mut BytesMut) {
        // Room for all at once: growing would copy a large payload.
        to.reserve(self.payload.len() + 64);
        rmp_serde::encode::write_named(&mut to.writer(), self).expect("a buffer takes everything");
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}
