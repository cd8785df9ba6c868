//! From the chunks of a byte stream to frames.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::WireError;

/// Cuts frames out of the chunks of a byte stream; copies only frames that lie in several chunks.
#[derive(Debug)]
pub(crate) struct Splitter {
    max: usize,
    chunks: VecDeque<Bytes>,
    pub(super) partial: BytesMut,
}

/// Memory that is taken ahead of the bytes that fill it: this, or [`AHEAD`] times those that have come.
/// Growing a large frame in steps would copy it more than once.
pub(super) const STEP: usize = 64 * 1024;
pub(super) const AHEAD: usize = 8;
/// The beginning of a large frame waits in so many chunks, until enough has come to take room for all.
const HELD: usize = 64;

impl Splitter {
    /// Refuses frames of more than `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, chunks: VecDeque::new(), partial: BytesMut::new() }
    }

    /// Adds what was read.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// Adds a copy of what was read, for buffers that are used again. What continues a frame that lies in
    /// many pieces is copied to where it will stay, and nowhere else.
    pub(crate) fn push_copy(&mut self, bytes: &[u8]) {
        let missing = if self.chunks.is_empty() { self.missing() } else { 0 };
        let (here, rest) = bytes.split_at(missing.min(bytes.len()));
        if !here.is_empty() {
            self.make_room(here.len(), missing);
            self.partial.extend_from_slice(here);
        }
        if !rest.is_empty() {
            self.chunks.push_back(Bytes::copy_from_slice(rest));
        }
    }

    /// Bytes that the frame in pieces still needs; 0 if that is not known, or it is not valid.
    fn missing(&self) -> usize {
        let Some(length) = self.partial.first_chunk::<4>() else { return 0 };
        let size = checked(*length, self.max).unwrap_or(0);
        (4 + size).saturating_sub(self.partial.len())
    }

    /// Bytes that wait for the rest of their frame.
    pub(crate) fn buffered(&self) -> usize {
        self.partial.len() + self.chunks.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether a frame has begun and not ended.
    pub(crate) fn is_partial(&self) -> bool {
        !self.partial.is_empty() || !self.chunks.is_empty()
    }

    /// The next whole frame, without its length.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            let begin = match self.chunks.front() {
                _ if !self.partial.is_empty() => &self.partial[..],
                Some(front) => &front[..],
                None => return Ok(None),
            };
            // Its length may lie in several chunks too.
            let want = match begin.first_chunk::<4>() {
                Some(length) => 4 + checked(*length, self.max)?,
                None => 4,
            };
            let missing = want - self.partial.len();
            if missing == 0 {
                let mut frame = std::mem::take(&mut self.partial).freeze();
                frame.advance(4);
                return Ok(Some(frame));
            }
            let Some(front) = self.chunks.front_mut() else { return Ok(None) };
            let is_whole = self.partial.is_empty() && front.len() >= want && want > 4;
            let mut part = front.split_to(missing.min(front.len()));
            if front.is_empty() {
                self.chunks.pop_front();
            }
            if is_whole {
                part.advance(4);
                return Ok(Some(part));
            }
            if self.partial.is_empty() && self.has_hardly_begun(part.len(), want) {
                self.chunks.push_front(part);
                return Ok(None);
            }
            self.make_room(part.len(), missing);
            self.partial.extend_from_slice(&part);
        }
    }

    /// Whether so little of a large frame has come that it may wait where it is. `first` is its first
    /// chunk, and all others are its too.
    fn has_hardly_begun(&self, first: usize, want: usize) -> bool {
        let few = want > STEP && self.chunks.len() < HELD;
        few && first + self.buffered() < want / AHEAD
    }

    /// Makes room for `here` bytes, and for those that are missing behind them.
    fn make_room(&mut self, here: usize, missing: usize) {
        if self.partial.capacity() - self.partial.len() < here {
            let ahead = STEP.max(AHEAD * (here + self.buffered()));
            self.partial.reserve(here.max(missing.min(ahead)));
        }
    }
}

/// The length of a frame: never nothing, since each has a kind.
fn checked(length: [u8; 4], max: usize) -> Result<usize, WireError> {
    match u32::from_le_bytes(length) as usize {
        0 => Err(WireError::Invalid("length")),
        size if size > max => Err(WireError::TooLarge),
        size => Ok(size),
    }
}
