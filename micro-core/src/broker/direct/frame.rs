//! The items of `_micro.events`, as `docs/wire.md` specifies them: bytes to values and back, without I/O.
//! Nothing that a peer sends panics here, or takes memory before its length was checked.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::broker::{MAX_BODY, Message, Subscribe, Verdict};
use crate::codec::Encoding;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Result, Status};
use crate::topic::{Pattern, Topic};

/// Bytes of the largest record: a body and, beside it, full metadata, a key and names.
pub(super) const MAX_RECORD: usize = MAX_BODY + 64 * 1024;
/// Bytes of a reason that travel.
const MAX_REASON: usize = 1024;

mod kind {
    pub(super) const DECLARE: u8 = 1;
    pub(super) const EVENTS: u8 = 2;
    pub(super) const DONE: u8 = 16;
    pub(super) const FAILED: u8 = 17;
    pub(super) const CLOSING: u8 = 18;
}

mod flag {
    pub(super) const BROADCAST: u8 = 1;
    pub(super) const KEY: u8 = 1;
    pub(super) const CORRELATION: u8 = 2;
}

mod outcome {
    pub(super) const FAILED: u8 = 1;
    pub(super) const NOT_BEGUN: u8 = 2;
    pub(super) const LOST: u8 = 3;
}

/// What a publisher sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Down {
    /// A subscription gets a number: the next one, from 0.
    Declare { number: u32, to: Subscribe },
    /// Messages for it, counted from 0 over the whole stream, all in the same attempt.
    Events { number: u32, attempt: u32, records: Records },
    /// Something of a later version.
    Unknown,
}

/// What a subscriber answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Up {
    /// Messages of a subscription that were handled.
    Done { number: u32, ranges: Ranges },
    /// One that was not.
    Failed { number: u32, at: u64, verdict: Verdict },
    /// It takes no more.
    Closing,
    /// Something of a later version.
    Unknown,
}

/// Messages one after the other, each behind its length.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Records {
    item: Bytes,
    /// Where the next one begins.
    at: usize,
}

/// Pairs of a first number and a count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ranges(Bytes);

/// The beginning of an item of messages; the records follow.
pub(super) fn begin_events(out: &mut BytesMut, number: u32, attempt: u32) {
    out.put_u8(kind::EVENTS);
    out.put_u32_le(number);
    out.put_u32_le(attempt);
}

/// A message behind its length: the same bytes for every subscriber.
pub(super) fn record(message: &Message) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + message.topic.as_str().len() + message.body.len());
    put_record(&mut out, message);
    out.freeze()
}

/// As [`record`], behind others.
pub(super) fn put_record(out: &mut BytesMut, message: &Message) {
    let Message { id, topic, key, encoding, correlation, metadata, body } = message;
    let begin = out.len();
    out.put_u32_le(0);
    out.put_u128_le(id.as_u128());
    out.put_u8(*encoding as u8);
    let flags = [(key.is_some(), flag::KEY), (correlation.is_some(), flag::CORRELATION)];
    out.put_u8(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum());
    put_name(out, topic.as_str());
    if let Some(key) = key {
        // At most 1 KiB, as publishing checks.
        out.put_u16_le(key.len() as u16);
        out.put_slice(key.as_bytes());
    }
    if let Some(correlation) = correlation {
        out.put_u128_le(correlation.as_u128());
    }
    // Metadata keeps its own limits: 64 entries, keys of 64 bytes, values of 4 KiB.
    out.put_u8(metadata.len() as u8);
    for (key, value) in metadata.iter() {
        put_name(out, key);
        out.put_u16_le(value.len() as u16);
        out.put_slice(value.as_bytes());
    }
    out.put_slice(body);
    let length = (out.len() - begin - 4) as u32;
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

/// An item that gives a subscription its number.
pub(super) fn declare(number: u32, to: &Subscribe) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(kind::DECLARE);
    out.put_u32_le(number);
    out.put_u8(if to.broadcast { flag::BROADCAST } else { 0 });
    put_name(&mut out, &to.group);
    put_name(&mut out, to.pattern.as_str());
    out.freeze()
}

/// An item that acknowledges.
pub(super) fn done(number: u32, ranges: impl IntoIterator<Item = (u64, u32)>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(kind::DONE);
    out.put_u32_le(number);
    for (first, count) in ranges {
        out.put_u64_le(first);
        out.put_u32_le(count);
    }
    out.freeze()
}

/// An item that says what became of a message that was not handled.
pub(super) fn failed(number: u32, at: u64, verdict: &Verdict) -> Bytes {
    let (outcome, reason) = match verdict {
        Verdict::Nack(reason) => (outcome::FAILED, reason.as_str()),
        Verdict::Ack | Verdict::Dropped => (outcome::FAILED, "it was dropped"),
        Verdict::Released => (outcome::NOT_BEGUN, ""),
        Verdict::Lost => (outcome::LOST, ""),
    };
    let mut out = BytesMut::new();
    out.put_u8(kind::FAILED);
    out.put_u32_le(number);
    out.put_u64_le(at);
    out.put_u8(outcome);
    out.put_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]);
    out.freeze()
}

/// An item that says that nothing more is taken.
pub(super) fn closing() -> Bytes {
    Bytes::from_static(&[kind::CLOSING])
}

impl Down {
    pub(super) fn read(item: Bytes) -> Result<Self> {
        let mut from = item;
        Ok(match u8(&mut from)? {
            kind::DECLARE => {
                let mut from: &[u8] = &from;
                let (number, flags) = (u32(&mut from)?, u8(&mut from)?);
                let group = name(&mut from)?.to_owned();
                let pattern = Pattern::parse(name(&mut from)?)?;
                let to = Subscribe { pattern, group, broadcast: flags & flag::BROADCAST != 0 };
                to.check().map_err(|error| error.into_status())?;
                Self::Declare { number, to }
            }
            kind::EVENTS => Self::Events {
                number: u32(&mut from)?,
                attempt: u32(&mut from)?,
                records: Records { item: from, at: 0 },
            },
            _ => Self::Unknown,
        })
    }
}

impl Up {
    pub(super) fn read(item: Bytes) -> Result<Self> {
        let mut from = item;
        Ok(match u8(&mut from)? {
            kind::DONE => Self::Done { number: u32(&mut from)?, ranges: Ranges(from) },
            kind::FAILED => {
                let (number, at) = (u32(&mut from)?, u64(&mut from)?);
                let verdict = match u8(&mut from)? {
                    outcome::NOT_BEGUN => Verdict::Released,
                    outcome::LOST => Verdict::Lost,
                    _ => {
                        let reason = &from[..from.len().min(MAX_REASON)];
                        Verdict::Nack(String::from_utf8_lossy(reason).into_owned())
                    }
                };
                Self::Failed { number, at, verdict }
            }
            kind::CLOSING => Self::Closing,
            _ => Self::Unknown,
        })
    }
}

impl Records {
    /// How many there are.
    pub(super) fn count(&self) -> Result<usize> {
        let (mut from, mut count): (&[u8], usize) = (&self.item[self.at..], 0);
        while !from.is_empty() {
            let length = length(&mut from)?;
            from = &from[length..];
            count += 1;
        }
        Ok(count)
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>> {
        let mut from = &self.item[self.at..];
        if from.is_empty() {
            return Ok(None);
        }
        let length = length(&mut from)?;
        let begin = self.item.len() - from.len();
        self.at = begin + length;
        Ok(Some(Record { item: &self.item, begin, end: self.at }))
    }
}

/// The length of a record, which lies behind it.
fn length(from: &mut &[u8]) -> Result<usize> {
    let length = u32(from)? as usize;
    if length > MAX_RECORD || length > from.len() {
        return Err(broken());
    }
    Ok(length)
}

/// One message as it came: a part of its item.
pub(super) struct Record<'a> {
    item: &'a Bytes,
    begin: usize,
    end: usize,
}

impl Record<'_> {
    /// The message, if `to` may have it; its body is a part of the item, not a copy. `last` is the topic of
    /// the one before, most likely the same.
    pub(super) fn read(self, to: &Subscribe, last: &mut Option<Topic>) -> Result<Message> {
        let Self { item, begin, end } = self;
        let mut from = &item[begin..end];
        let id = u128(&mut from)?;
        let (encoding, flags) = (u8(&mut from)?, u8(&mut from)?);
        let Some(encoding) = Encoding::from_number(encoding) else {
            return Err(Status::invalid_argument("the encoding of the message is not known"));
        };
        let topic = name(&mut from)?;
        let topic = match last {
            Some(last) if last.as_str() == topic => last.clone(),
            _ => {
                let topic = Topic::parse(topic)?;
                if !to.pattern.matches(&topic) {
                    let text = "the subscription does not take this topic";
                    return Err(Status::invalid_argument(text));
                }
                last.insert(topic).clone()
            }
        };
        let mut key = None;
        if flags & flag::KEY != 0 {
            let length = u16(&mut from)?;
            key = Some(text(&mut from, length.into())?.to_owned());
        }
        let mut correlation = None;
        if flags & flag::CORRELATION != 0 {
            correlation = Some(Id::from_u128(u128(&mut from)?));
        }
        let mut metadata = Metadata::new();
        for _ in 0..u8(&mut from)? {
            let key = name(&mut from)?;
            let length = u16(&mut from)?;
            let value = text(&mut from, length.into())?;
            metadata
                .insert(key, value)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        let body = item.slice(end - from.len()..end);
        let id = Id::from_u128(id);
        let message = Message { id, topic, key, encoding, correlation, metadata, body };
        message.check().map_err(|error| error.into_status())?;
        Ok(message)
    }
}

impl Ranges {
    /// The next first number and count.
    pub(super) fn next(&mut self) -> Result<Option<(u64, u32)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some((u64(&mut self.0)?, u32(&mut self.0)?)))
    }
}

fn put_name(out: &mut BytesMut, name: &str) {
    // Topics, patterns, groups and keys of metadata are at most 255 bytes, as making them checks.
    out.put_u8(name.len() as u8);
    out.put_slice(name.as_bytes());
}

/// Bytes to read from, in one piece.
trait Source {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]>;
}

impl Source for Bytes {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = *self.first_chunk().ok_or_else(broken)?;
        self.advance(N);
        Ok(taken)
    }
}

impl Source for &[u8] {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.split_first_chunk().ok_or_else(broken)?;
        *self = rest;
        Ok(*taken)
    }
}

macro_rules! numbers {
    ($($name:ident)*) => {
        $(fn $name(from: &mut impl Source) -> Result<$name> {
            Ok($name::from_le_bytes(from.take()?))
        })*
    };
}
numbers! { u8 u16 u32 u64 u128 }

fn text<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a str> {
    let (text, rest) = from.split_at_checked(length).ok_or_else(broken)?;
    *from = rest;
    std::str::from_utf8(text).map_err(|_| broken())
}

fn name<'a>(from: &mut &'a [u8]) -> Result<&'a str> {
    let length = u8(from)?;
    text(from, length.into())
}

fn broken() -> Status {
    Status::invalid_argument("not an item of `_micro.events`")
}

#[cfg(test)]
mod tests;
