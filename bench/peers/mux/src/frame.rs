//! Frames of the lane: a head of 16 bytes and a body.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a [`Head`].
pub const HEAD: usize = 16;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A request; the server answers it.
    Call,
    /// The answer.
    Reply,
    /// A request that is never answered.
    Hold,
    /// The caller has lost interest.
    Cancel,
}

/// The head of a frame: length of the body, kind, id of the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Bytes of the body.
    pub len: u32,
    /// What it is.
    pub kind: Kind,
    /// Which call.
    pub id: u64,
}

impl Head {
    /// Appends it.
    pub fn put(self, to: &mut BytesMut) {
        to.put_u32_le(self.len);
        to.put_u32_le(self.kind as u32);
        to.put_u64_le(self.id);
    }

    /// Reads it from the first [`HEAD`] bytes.
    pub fn read(mut bytes: &[u8]) -> Self {
        let len = bytes.get_u32_le();
        let kind = match bytes.get_u32_le() {
            0 => Kind::Call,
            1 => Kind::Reply,
            2 => Kind::Hold,
            _ => Kind::Cancel,
        };
        Self { len, kind, id: bytes.get_u64_le() }
    }
}

/// Appends a whole frame whose body `encode` appends.
pub fn put(to: &mut BytesMut, kind: Kind, id: u64, encode: impl FnOnce(&mut BytesMut)) {
    let at = to.len();
    Head { len: 0, kind, id }.put(to);
    encode(to);
    let len = (to.len() - at - HEAD) as u32;
    to[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Cuts frames out of the chunks that arrive. A frame within one chunk is not copied.
#[derive(Default)]
pub struct Frames {
    chunks: VecDeque<Bytes>,
    /// The beginning of a frame that crosses chunks.
    partial: BytesMut,
}

impl Frames {
    /// Takes a chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// The next whole frame, if it has arrived.
    pub fn next(&mut self) -> Option<(Head, Bytes)> {
        if self.partial.is_empty() {
            let front = self.chunks.front_mut()?;
            if let Some(frame) = whole(front) {
                let (head, mut body) = (Head::read(front), front.split_to(frame));
                if front.is_empty() {
                    self.chunks.pop_front();
                }
                body.advance(HEAD);
                return Some((head, body));
            }
        }
        // The head first, since it says how much the frame needs.
        self.fill(HEAD)?;
        let head = Head::read(&self.partial);
        let total = HEAD + head.len as usize;
        self.fill(total)?;
        let mut body = self.partial.split_to(total).freeze();
        body.advance(HEAD);
        Some((head, body))
    }

    /// Moves bytes from the chunks to the partial frame until it has so many.
    fn fill(&mut self, want: usize) -> Option<()> {
        self.partial.reserve(want.saturating_sub(self.partial.len()));
        while self.partial.len() < want {
            let front = self.chunks.front_mut()?;
            let part = front.split_to(front.len().min(want - self.partial.len()));
            self.partial.extend_from_slice(&part);
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
        Some(())
    }
}

/// Bytes of the frame that these begin with, when it is complete.
fn whole(bytes: &[u8]) -> Option<usize> {
    let total = HEAD + Head::read(bytes.get(..HEAD)?).len as usize;
    (bytes.len() >= total).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_every_cut() {
        let mut wire = BytesMut::new();
        put(&mut wire, Kind::Call, 7, |to| to.extend_from_slice(b"hello"));
        put(&mut wire, Kind::Cancel, 8, |_| {});
        let wire = wire.freeze();
        for first in 0..=wire.len() {
            for second in first..=wire.len() {
                let mut frames = Frames::default();
                let mut got = Vec::new();
                for chunk in [wire.slice(..first), wire.slice(first..second), wire.slice(second..)]
                {
                    frames.push(chunk);
                    while let Some(frame) = frames.next() {
                        got.push(frame);
                    }
                }
                assert_eq!(got.len(), 2, "{first} {second}");
                assert_eq!(got[0], (Head { len: 5, kind: Kind::Call, id: 7 }, "hello".into()));
                assert_eq!(got[1].0.kind, Kind::Cancel);
            }
        }
    }
}
