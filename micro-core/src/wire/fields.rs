//! The fields of frames: numbers, texts, metadata and statuses to bytes and back.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{MAX_STATUS_MESSAGE, WireError, flag};
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Code, Executed, FaultBody, Status};

pub(super) fn put_status<'a>(out: &mut BytesMut, status: &'a Status) -> Option<&'a Bytes> {
    let message = cut(status.message(), MAX_STATUS_MESSAGE);
    out.put_u16_le(message.len() as u16);
    out.put_slice(message.as_bytes());
    out.put_u128_le(status.correlation().as_u128());
    out.put_u8(match status.executed() {
        Executed::Maybe => 0,
        Executed::No => 1,
        Executed::Yes => 2,
    });
    let mut flags = 0;
    if status.retry_after().is_some() {
        flags |= flag::RETRY_AFTER;
    }
    if status.fault_body().is_some() {
        flags |= flag::FAULT;
    }
    out.put_u8(flags);
    if let Some(wait) = status.retry_after() {
        out.put_u32_le(millis(wait));
    }
    let FaultBody { name, encoding, bytes } = status.fault_body()?;
    put_name(out, name);
    out.put_u8(*encoding);
    Some(bytes)
}

pub(super) fn status(code: Code, from: &mut &[u8], bytes: &Bytes) -> Result<Status, WireError> {
    let length = usize::from(u16(from)?);
    let message = text(from, length)?;
    let mut status = Status::new(code, message).with_correlation(id(from)?);
    status = status.with_executed(match u8(from)? {
        1 => Executed::No,
        2 => Executed::Yes,
        _ => Executed::Maybe,
    });
    let flags = u8(from)?;
    if flags & flag::RETRY_AFTER != 0 {
        status = status.with_retry_after(Duration::from_millis(u32(from)?.into()));
    }
    if flags & flag::FAULT != 0 {
        let (name, encoding) = (name(from)?, u8(from)?);
        status = status.with_fault(FaultBody { name, encoding, bytes: bytes.slice_ref(from) });
    }
    Ok(status)
}

pub(super) fn put_metadata(out: &mut BytesMut, metadata: &Metadata) {
    // At most 64 entries: the count fits a byte, keys a byte, values two.
    out.put_u8(metadata.len() as u8);
    for (key, value) in metadata.iter() {
        put_name(out, key);
        out.put_u16_le(value.len() as u16);
        out.put_slice(value.as_bytes());
    }
}

pub(super) fn metadata(from: &mut &[u8]) -> Result<Metadata, WireError> {
    let mut metadata = Metadata::new();
    for _ in 0..u8(from)? {
        let key = name(from)?;
        let length = usize::from(u16(from)?);
        let value = text(from, length)?;
        metadata.insert(key, value).map_err(|_| WireError::Invalid("metadata"))?;
    }
    Ok(metadata)
}

pub(super) fn put_name(out: &mut BytesMut, name: &str) {
    let name = cut(name, usize::from(u8::MAX));
    out.put_u8(name.len() as u8);
    out.put_slice(name.as_bytes());
}

pub(super) fn name(from: &mut &[u8]) -> Result<String, WireError> {
    let length = usize::from(u8(from)?);
    text(from, length)
}

pub(super) fn text(from: &mut &[u8], length: usize) -> Result<String, WireError> {
    let (bytes, rest) = from.split_at_checked(length).ok_or(WireError::Truncated)?;
    *from = rest;
    let text = std::str::from_utf8(bytes).map_err(|_| WireError::Invalid("text"))?;
    Ok(text.to_owned())
}

pub(super) fn id(from: &mut &[u8]) -> Result<Id, WireError> {
    from.try_get_u128_le().map(Id::from_u128).map_err(|_| WireError::Truncated)
}

macro_rules! numbers {
    ($($name:ident $get:ident;)*) => {
        $(pub(super) fn $name(from: &mut &[u8]) -> Result<$name, WireError> {
            from.$get().map_err(|_| WireError::Truncated)
        })*
    };
}
numbers! {
    u8 try_get_u8;
    u16 try_get_u16_le;
    u32 try_get_u32_le;
    u64 try_get_u64_le;
}

/// Whole milliseconds, rounded up so that a positive time never becomes none.
pub(super) fn millis(time: Duration) -> u32 {
    let millis = time.as_secs().saturating_mul(1_000);
    let rest = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    u32::try_from(millis.saturating_add(rest)).unwrap_or(u32::MAX)
}

/// The longest prefix of whole characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

pub(super) fn begin(out: &mut BytesMut) -> usize {
    out.put_u32_le(0);
    out.len()
}

/// Writes the length of what was appended and of `linked` bytes that follow it.
pub(super) fn finish(out: &mut BytesMut, start: usize, linked: usize) {
    // Senders bound their bodies by `MAX_MESSAGE`, far below 4 GiB.
    let length = (out.len() - start + linked) as u32;
    out[start - 4..start].copy_from_slice(&length.to_le_bytes());
}
