//! Calls and replies as most of them are, written and read in one piece: they are small, and many. The
//! others go the way of all frames.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::fields::{begin, finish, millis, u32, u64};
use super::{Call, End, Head, HeadRef, WireError, flag, kind, last};
use crate::id::Id;
use crate::metadata::Metadata;

/// Bytes of a `CALL` with a correlation id and without metadata, before its body.
const CALL: usize = 36;
/// Bytes of a `REPLY` without an error and metadata, before its body.
const REPLY: usize = 11;

/// Appends a `CALL`.
pub(crate) fn put_call(out: &mut BytesMut, id: u64, route: u32, head: HeadRef<'_>, body: &[u8]) {
    let (HeadRef { correlation: Some(correlation), .. }, true) = (head, head.metadata.is_empty())
    else {
        let start = begin(out);
        out.put_u8(kind::CALL);
        out.put_u64_le(id);
        out.put_u32_le(route);
        head.put(out);
        out.put_slice(body);
        return finish(out, start, 0);
    };
    // The last byte, which stays 0, is the number of entries of the metadata.
    let mut fixed = [0; 4 + CALL];
    let length = (fixed.len() - 4 + body.len()) as u32;
    fixed[..4].copy_from_slice(&length.to_le_bytes());
    fixed[4] = kind::CALL;
    fixed[5..13].copy_from_slice(&id.to_le_bytes());
    fixed[13..17].copy_from_slice(&route.to_le_bytes());
    fixed[17] = flag::CORRELATION | if head.repeated { flag::REPEATED } else { 0 };
    fixed[18] = head.encoding;
    fixed[19..23].copy_from_slice(&millis(head.time_left).to_le_bytes());
    fixed[23..39].copy_from_slice(&correlation.as_u128().to_le_bytes());
    out.reserve(fixed.len() + body.len());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(body);
}

/// Appends a `REPLY`.
pub(crate) fn put_reply(out: &mut BytesMut, id: u64, end: &End) {
    let End { metadata, result: Ok(body) } = end else { return put_whole_reply(out, id, end) };
    if !metadata.is_empty() {
        return put_whole_reply(out, id, end);
    }
    // The last two bytes, which stay 0, are the code and the number of entries of the metadata.
    let mut fixed = [0; 4 + REPLY];
    let length = (fixed.len() - 4 + body.len()) as u32;
    fixed[..4].copy_from_slice(&length.to_le_bytes());
    fixed[4] = kind::REPLY;
    fixed[5..13].copy_from_slice(&id.to_le_bytes());
    out.reserve(fixed.len() + body.len());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(body);
}

#[cold]
fn put_whole_reply(out: &mut BytesMut, id: u64, end: &End) {
    let start = begin(out);
    out.put_u8(kind::REPLY);
    out.put_u64_le(id);
    let body = end.put_fields(out);
    out.put_slice(body.map_or(&[], |body| body));
    finish(out, start, 0);
}

/// Reads a `REPLY`.
pub(crate) fn read_reply(mut bytes: Bytes) -> Result<(u64, End), WireError> {
    if let Some([_, id @ .., 0, 0]) = bytes.first_chunk::<REPLY>() {
        let id = u64::from_le_bytes(*id);
        bytes.advance(REPLY);
        return Ok((id, End { metadata: Metadata::new(), result: Ok(bytes) }));
    }
    let mut rest = bytes.get(1..).ok_or(WireError::Truncated)?;
    let id = u64(&mut rest)?;
    let left = rest.len();
    Ok((id, End::read(last(bytes, left))?))
}

impl Call {
    /// Reads a `CALL`.
    pub(crate) fn read(mut bytes: Bytes) -> Result<Self, WireError> {
        if let Some(fixed) = bytes.first_chunk::<CALL>()
            && let [flags @ (flag::CORRELATION | flag::KNOWN), encoding] = fixed[13..15]
            && fixed[CALL - 1] == 0
        {
            let mut from = &fixed[1..];
            let (id, route) = (from.get_u64_le(), from.get_u32_le());
            from = &fixed[15..];
            let head = Head {
                encoding,
                repeated: flags & flag::REPEATED != 0,
                time_left: Duration::from_millis(from.get_u32_le().into()),
                correlation: Some(Id::from_u128(from.get_u128_le())),
                metadata: Metadata::new(),
            };
            bytes.advance(CALL);
            return Ok(Self { id, route, head, body: bytes });
        }
        let mut rest = bytes.get(1..).ok_or(WireError::Truncated)?;
        let from = &mut rest;
        let (id, route, head) = (u64(from)?, u32(from)?, Head::read(from)?);
        let left = rest.len();
        Ok(Self { id, route, head, body: last(bytes, left) })
    }
}
