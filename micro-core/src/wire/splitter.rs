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

/// Memory that is taken ahead of the bytes that fill it.
pub(super) const STEP: usize = 64 * 1024;

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
            self.partial.reserve(here.len().max(missing.min(STEP)));
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
            if self.partial.is_empty() {
                let Some(front) = self.chunks.front_mut() else { return Ok(None) };
                if let Some(length) = front.first_chunk::<4>() {
                    let size = checked(*length, self.max)?;
                    if front.len() >= 4 + size {
                        let mut frame = front.split_to(4 + size);
                        if front.is_empty() {
                            self.chunks.pop_front();
                        }
                        frame.advance(4);
                        return Ok(Some(frame));
                    }
                }
            }
            let want = match self.partial.first_chunk::<4>() {
                Some(length) => 4 + checked(*length, self.max)?,
                None => 4,
            };
            if self.partial.len() >= want {
                let mut frame = self.partial.split_to(want).freeze();
                frame.advance(4);
                return Ok(Some(frame));
            }
            let Some(front) = self.chunks.front_mut() else { return Ok(None) };
            let take = (want - self.partial.len()).min(front.len());
            self.partial.reserve(take.max((want - self.partial.len()).min(STEP)));
            self.partial.extend_from_slice(&front.split_to(take));
            if front.is_empty() {
                self.chunks.pop_front();
            }
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
