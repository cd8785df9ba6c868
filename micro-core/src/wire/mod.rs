//! The frames of `micro/1`, sans I/O: what `docs/wire.md` specifies, as types to bytes and back.
//!
//! A frame is a length (u32, little endian, of what follows it), a kind and fields. Whatever a peer
//! sends ends in a value or a [`WireError`]; lengths are checked before memory is taken.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::call::{Outcome, Reply};
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Code, Status};

mod fields;
mod splitter;
mod usual;

pub(crate) use splitter::Splitter;
pub(crate) use usual::{put_call, put_reply, read_reply};

use fields::*;

/// Bodies of this size and more travel on a stream of their own. Measured: small calls beside 1 MiB
/// traffic take half the time so (`docs/performance.md`).
pub(crate) const OWN_STREAM: usize = 32 * 1024;
/// The largest frame on a lane: a body below [`OWN_STREAM`], the metadata, and the fields.
pub(crate) const MAX_LANE_FRAME: usize = 64 * 1024;
/// What a frame on an own stream has beside its body: metadata, names and fields.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// Bytes of a status message on the wire; a longer one is cut.
pub(crate) const MAX_STATUS_MESSAGE: usize = 4 * 1024;
/// Routes that one client may announce on a connection; it calls what lies beyond on own streams.
pub(crate) const MAX_ROUTES: usize = 4_096;

/// What a peer may not send. The connection or stream it came on is closed.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("a field of the frame is not valid: {0}")]
    Invalid(&'static str),
    #[error("the frame is larger than allowed")]
    TooLarge,
    #[error("the frame ends in the middle of a field")]
    Truncated,
}

/// A frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Call(Call),
    Cancel {
        id: u64,
    },
    Contract {
        route: u32,
        contract: Bytes,
    },
    End(End),
    GoAway(GoAway),
    Item(Bytes),
    Open(Open),
    Reply {
        id: u64,
        end: End,
    },
    Route(Route),
    Settings(Settings),
    /// A kind that a newer peer knows: skipped.
    Unknown(u8),
}

/// The first frame of each side on the lane. Unknown keys are skipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) version: u32,
    pub(crate) max_message: u32,
}

/// A handler that a client is going to call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub(crate) id: u32,
    /// Of the contract that the client was built from; 0 when it does not say.
    pub(crate) fingerprint: u64,
    pub(crate) service: String,
    pub(crate) method: String,
}

/// What every call carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) encoding: u8,
    pub(crate) repeated: bool,
    pub(crate) time_left: Duration,
    pub(crate) correlation: Option<Id>,
    pub(crate) metadata: Metadata,
}

/// The same, of a call that is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRef<'a> {
    pub(crate) encoding: u8,
    pub(crate) repeated: bool,
    pub(crate) time_left: Duration,
    pub(crate) correlation: Option<Id>,
    pub(crate) metadata: &'a Metadata,
}

/// A unary call on the lane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) route: u32,
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

/// A call on a stream of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Open {
    pub(crate) kind: u8,
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) metadata: Metadata,
    pub(crate) result: Result<Bytes, Status>,
}

/// The last calls taken: what came later was provably not executed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GoAway {
    /// How many calls of the lane were taken.
    pub(crate) calls: u64,
    /// How many own streams were taken.
    pub(crate) streams: u64,
}

/// The first bytes of frames.
pub(crate) mod kind {
    pub(super) const SETTINGS: u8 = 0;
    pub(super) const ROUTE: u8 = 1;
    pub(crate) const CALL: u8 = 2;
    pub(crate) const REPLY: u8 = 3;
    pub(super) const CANCEL: u8 = 4;
    pub(super) const GOAWAY: u8 = 5;
    pub(super) const CONTRACT: u8 = 6;
    pub(crate) const OPEN: u8 = 16;
    pub(super) const ITEM: u8 = 17;
    pub(crate) const END: u8 = 18;
}

mod setting {
    pub(super) const VERSION: u16 = 1;
    pub(super) const MAX_MESSAGE: u16 = 2;
}

mod flag {
    pub(super) const REPEATED: u8 = 1;
    pub(super) const CORRELATION: u8 = 2;
    pub(super) const KNOWN: u8 = REPEATED | CORRELATION;
    pub(super) const RETRY_AFTER: u8 = 1;
    pub(super) const FAULT: u8 = 2;
}

impl Frame {
    /// Appends the frame.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        let start = begin(out);
        let body = self.put_fields(out);
        out.put_slice(body.map_or(&[], |body| body));
        finish(out, start, 0);
    }

    /// Appends the frame where its body may be large: such a body becomes a chunk of its own, linked and
    /// not copied, behind what `out` holds.
    pub(crate) fn put_linked(&self, out: &mut BytesMut, chunks: &mut Vec<Bytes>) {
        let start = begin(out);
        let Some(body) = self.put_fields(out) else { return finish(out, start, 0) };
        if body.len() < OWN_STREAM {
            out.put_slice(body);
            return finish(out, start, 0);
        }
        finish(out, start, body.len());
        chunks.extend([out.split().freeze(), body.clone()]);
    }

    /// Appends all but the body, which is what comes last.
    fn put_fields(&self, out: &mut BytesMut) -> Option<&Bytes> {
        match self {
            Self::Settings(Settings { version, max_message }) => {
                out.put_u8(kind::SETTINGS);
                out.put_u16_le(setting::VERSION);
                out.put_u32_le(*version);
                out.put_u16_le(setting::MAX_MESSAGE);
                out.put_u32_le(*max_message);
            }
            Self::Route(Route { id, fingerprint, service, method }) => {
                out.put_u8(kind::ROUTE);
                out.put_u32_le(*id);
                out.put_u64_le(*fingerprint);
                put_name(out, service);
                put_name(out, method);
            }
            Self::Call(Call { id, route, head, body }) => {
                out.put_u8(kind::CALL);
                out.put_u64_le(*id);
                out.put_u32_le(*route);
                head.put(out);
                return Some(body);
            }
            Self::Reply { id, end } => {
                out.put_u8(kind::REPLY);
                out.put_u64_le(*id);
                return end.put_fields(out);
            }
            Self::Cancel { id } => {
                out.put_u8(kind::CANCEL);
                out.put_u64_le(*id);
            }
            Self::GoAway(GoAway { calls, streams }) => {
                out.put_u8(kind::GOAWAY);
                out.put_u64_le(*calls);
                out.put_u64_le(*streams);
            }
            Self::Contract { route, contract } => {
                out.put_u8(kind::CONTRACT);
                out.put_u32_le(*route);
                return Some(contract);
            }
            Self::Open(Open { kind: shape, service, method, head, body }) => {
                out.put_u8(kind::OPEN);
                out.put_u8(*shape);
                put_name(out, service);
                put_name(out, method);
                head.put(out);
                return Some(body);
            }
            Self::Item(body) => {
                out.put_u8(kind::ITEM);
                return Some(body);
            }
            Self::End(end) => {
                out.put_u8(kind::END);
                return end.put_fields(out);
            }
            Self::Unknown(kind) => out.put_u8(*kind),
        }
        None
    }

    /// Reads what [`Splitter`] cut out: a frame without its length. Bodies are slices of it.
    pub(crate) fn read(bytes: Bytes) -> Result<Self, WireError> {
        let mut rest = &bytes[..];
        let from = &mut rest;
        Ok(match u8(from)? {
            kind::SETTINGS => Self::Settings(Settings::read(from)?),
            kind::ROUTE => Self::Route(Route {
                id: u32(from)?,
                fingerprint: u64(from)?,
                service: name(from)?,
                method: name(from)?,
            }),
            kind::CALL => Self::Call(Call::read(bytes)?),
            kind::REPLY => {
                let (id, end) = read_reply(bytes)?;
                Self::Reply { id, end }
            }
            kind::CANCEL => Self::Cancel { id: u64(from)? },
            kind::GOAWAY => Self::GoAway(GoAway { calls: u64(from)?, streams: u64(from)? }),
            kind::CONTRACT => {
                let route = u32(from)?;
                let left = rest.len();
                Self::Contract { route, contract: last(bytes, left) }
            }
            kind::OPEN => {
                let kind = u8(from)?;
                let (service, method, head) = (name(from)?, name(from)?, Head::read(from)?);
                let left = rest.len();
                Self::Open(Open { kind, service, method, head, body: last(bytes, left) })
            }
            kind::ITEM => {
                let left = rest.len();
                Self::Item(last(bytes, left))
            }
            kind::END => {
                let left = rest.len();
                Self::End(End::read(last(bytes, left))?)
            }
            unknown => Self::Unknown(unknown),
        })
    }
}

/// The last bytes.
fn last(mut bytes: Bytes, count: usize) -> Bytes {
    bytes.advance(bytes.len() - count);
    bytes
}

impl Settings {
    fn read(from: &mut &[u8]) -> Result<Self, WireError> {
        let mut settings = Self { version: 0, max_message: u32::MAX };
        while !from.is_empty() {
            let (key, value) = (u16(from)?, u32(from)?);
            match key {
                setting::VERSION => settings.version = value,
                setting::MAX_MESSAGE => settings.max_message = value,
                _ => {}
            }
        }
        Ok(settings)
    }
}

impl HeadRef<'_> {
    fn put(self, out: &mut BytesMut) {
        let Self { encoding, repeated, time_left, correlation, metadata } = self;
        let known = if correlation.is_some() { flag::CORRELATION } else { 0 };
        out.put_u8(known | if repeated { flag::REPEATED } else { 0 });
        out.put_u8(encoding);
        out.put_u32_le(millis(time_left));
        if let Some(id) = correlation {
            out.put_u128_le(id.as_u128());
        }
        put_metadata(out, metadata);
    }
}

impl Head {
    fn put(&self, out: &mut BytesMut) {
        let Self { encoding, repeated, time_left, correlation, metadata } = self;
        let (encoding, repeated) = (*encoding, *repeated);
        let (time_left, correlation) = (*time_left, *correlation);
        HeadRef { encoding, repeated, time_left, correlation, metadata }.put(out);
    }

    fn read(from: &mut &[u8]) -> Result<Self, WireError> {
        let flags = u8(from)?;
        Ok(Self {
            repeated: flags & flag::REPEATED != 0,
            encoding: u8(from)?,
            time_left: Duration::from_millis(u32(from)?.into()),
            correlation: match flags & flag::CORRELATION {
                0 => None,
                _ => Some(id(from)?),
            },
            metadata: metadata(from)?,
        })
    }
}

impl End {
    /// What the caller gets.
    pub(crate) fn into_outcome(self) -> Outcome {
        let Self { metadata, result } = self;
        Ok(Reply { metadata, body: result?, items: None })
    }

    fn put_fields(&self, out: &mut BytesMut) -> Option<&Bytes> {
        let Self { metadata, result } = self;
        match result {
            Ok(body) => {
                out.put_u8(0);
                put_metadata(out, metadata);
                Some(body)
            }
            Err(status) => {
                out.put_u8(status.code() as u8);
                put_metadata(out, metadata);
                put_status(out, status)
            }
        }
    }

    fn read(bytes: Bytes) -> Result<Self, WireError> {
        let mut rest = &bytes[..];
        let from = &mut rest;
        let code = u8(from)?;
        let metadata = metadata(from)?;
        let result = match code {
            0 => {
                let left = rest.len();
                Ok(last(bytes, left))
            }
            code => Err(status(Code::from_number(code), from, &bytes)?),
        };
        Ok(Self { metadata, result })
    }

    /// How many bytes it takes on the wire, about.
    pub(crate) fn size(&self) -> usize {
        match &self.result {
            Ok(body) => body.len(),
            Err(status) => status.fault_body().map_or(0, |fault| fault.bytes.len()),
        }
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        let text = |end: &Self| match &end.result {
            Ok(body) => format!("{body:?}"),
            Err(s) => format!("{s} {} {:?} {:?}", s.correlation(), s.executed(), s.fault_body()),
        };
        self.metadata == other.metadata && text(self) == text(other)
    }
}

#[cfg(test)]
pub(crate) mod tests;
