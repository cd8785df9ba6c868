//! Where values are encoded: buffers that each thread keeps, so that a small message costs no allocation
//! of its own.

use std::cell::{Cell, RefCell};
use std::io;

use bytes::{Bytes, BytesMut};

use crate::status::Result;

/// Small messages of a thread share pieces of this size.
const PIECE: usize = 16 * 1024;
/// The largest message that shares one: what holds such a message holds a [`PIECE`] at most.
const SMALL: usize = 2 * 1024;
/// What a thread keeps for the next message at most, beside its piece.
const KEPT: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static PIECES: RefCell<BytesMut> = RefCell::new(BytesMut::new());
    /// The size of the last message that was larger than [`KEPT`]: the next one is likely as large, and
    /// need not grow to it step by step.
    static LARGE: Cell<usize> = const { Cell::new(0) };
}

/// Whose memory an encoded message is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Memory {
    /// Its own: right for what may be kept for long.
    Own,
    /// Shared with others when it is small: right for what leaves at once.
    Shared,
}

/// Runs `write` over an empty buffer and returns what it has written.
pub(super) fn encoded(
    memory: Memory,
    write: impl FnOnce(&mut Buffer) -> Result<()>,
) -> Result<Bytes> {
    // Taken, since encoding a value may encode another.
    let mut buffer = Buffer(SCRATCH.take());
    buffer.0.clear();
    let written = write(&mut buffer);
    let bytes = written.map(|()| match buffer.0.len() {
        0 => Bytes::new(),
        1..=SMALL if memory == Memory::Shared => share(&buffer.0),
        1..=KEPT => Bytes::copy_from_slice(&buffer.0),
        large => {
            LARGE.set(large);
            let mut bytes = std::mem::take(&mut buffer.0);
            if bytes.capacity() / 2 > large {
                // The last one was much larger.
                bytes.shrink_to_fit();
            }
            bytes.into()
        }
    });
    if buffer.0.capacity() <= KEPT {
        SCRATCH.set(buffer.0);
    }
    bytes
}

fn share(message: &[u8]) -> Bytes {
    PIECES.with_borrow_mut(|piece| {
        if piece.capacity() < message.len() {
            // Takes the same memory again when no message holds it any more.
            piece.reserve(PIECE);
        }
        piece.extend_from_slice(message);
        piece.split().freeze()
    })
}

/// A buffer that grows in few steps.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    #[cold]
    fn grow(&mut self, more: usize) {
        let (length, capacity) = (self.0.len(), self.0.capacity());
        let needed = length + more;
        let wanted = match needed > KEPT {
            // Large for what is in it: little is to come behind it.
            true if more > capacity => needed + SMALL,
            true => needed.max(2 * capacity),
            false => needed.max(2 * capacity).clamp(SMALL, KEPT),
        };
        let wanted = if needed > KEPT { wanted.max(LARGE.get()) } else { wanted };
        self.0.reserve_exact(wanted - length);
    }
}

impl io::Write for Buffer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.0.capacity() - self.0.len() {
            self.grow(bytes.len());
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn message(memory: Memory, size: usize, fill: u8) -> Bytes {
        encoded(memory, |buffer| Ok(buffer.write_all(&vec![fill; size])?)).expect("fits")
    }

    #[test]
    fn messages_that_share_a_piece_stay_apart() {
        let sizes = [0, 1, 64, SMALL, SMALL + 1, KEPT, KEPT + 1, 3 << 20];
        for memory in [Memory::Own, Memory::Shared] {
            let messages: Vec<_> = (0..200)
                .map(|n| (n, sizes[n % 6], message(memory, sizes[n % 6], n as u8)))
                .collect();
            for (n, size, message) in messages {
                assert_eq!(message.len(), size);
                assert!(message.iter().all(|byte| *byte == n as u8));
            }
        }
        for size in sizes {
            assert_eq!(message(Memory::Shared, size, 7), vec![7; size]);
        }
    }

    #[test]
    fn one_large_piece_is_given_its_room_at_once() {
        let bytes = encoded(Memory::Own, |buffer| {
            buffer.write_all(b"head")?;
            buffer.write_all(&vec![7; 1 << 20])?;
            let capacity = buffer.0.capacity();
            buffer.write_all(b"tail")?;
            assert_eq!(buffer.0.capacity(), capacity);
            assert!(capacity < (1 << 20) + 2 * SMALL);
            Ok(())
        });
        assert_eq!(bytes.expect("fits").len(), (1 << 20) + 8);
    }

    #[test]
    fn a_message_within_a_message_is_its_own() {
        let mut inner = Bytes::new();
        let outer = encoded(Memory::Shared, |buffer| {
            buffer.write_all(b"out")?;
            inner = message(Memory::Shared, 3, b'i');
            Ok(buffer.write_all(b"er")?)
        });
        assert_eq!((outer.expect("fits"), inner), ("outer".into(), "iii".into()));
    }

    #[test]
    fn a_large_message_is_no_burden_for_later_small_ones() {
        message(Memory::Own, 3 << 20, 1);
        assert!(SCRATCH.take().capacity() <= KEPT);
        message(Memory::Own, 64, 1);
        assert!(SCRATCH.take().capacity() <= KEPT);
    }
}
