//! JSON by serde_json, whose own recursion limit (128) keeps hostile nesting off the stack.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::buffer::Buffer;
use crate::status::Result;

pub(super) fn encode<T: Serialize + ?Sized>(buffer: &mut Buffer, value: &T) -> Result<()> {
    Ok(serde_json::to_writer(buffer, value)?)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| super::invalid(&error))
}

pub(super) fn decode_seed<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut json).map_err(|error| super::invalid(&error))?;
    json.end().map_err(|error| super::invalid(&error))?;
    Ok(value)
}
