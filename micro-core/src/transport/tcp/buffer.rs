//! Buffers that records are read into and written from: lent while there is something in them, so that
//! an idle connection has none.

use std::cell::RefCell;
use std::ops::Range;

/// A TLS record on the wire is at most this long: RFC 8446, section 5.2.
const MAX_RECORD: usize = 5 + (1 << 14) + 256;
/// Four whole records: what one call of the system moves.
const SIZE: usize = 4 * MAX_RECORD;
/// Buffers that a thread keeps for the next who needs one.
const SPARE: usize = 4;

thread_local! {
    static SPARES: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

fn lend() -> Box<[u8]> {
    // The thread may be ending, and its spares gone.
    let spare = SPARES.try_with(|spares| spares.borrow_mut().pop()).ok().flatten();
    spare.unwrap_or_else(|| vec![0; SIZE].into())
}

fn give_back(buffer: Box<[u8]>) {
    if buffer.len() == SIZE {
        // As above; then it is simply freed.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(buffer);
            }
        });
    }
}

/// Bytes on their way between the socket and TLS, in a buffer that is there only while it is needed.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    filled: Range<usize>,
}

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// What is in it.
    pub(super) fn filled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled.clone()]
    }

    /// Room behind what is in it: for at least one whole record if the buffer was below that, and none
    /// when four records would not have been enough.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = lend();
        }
        if self.bytes.len() - self.filled.end < MAX_RECORD {
            self.bytes.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        &mut self.bytes[self.filled.end..]
    }

    /// Whether another whole record may not fit.
    pub(super) fn is_full(&mut self) -> bool {
        self.space().len() < MAX_RECORD
    }

    /// So many bytes were put into the space.
    pub(super) fn fill(&mut self, count: usize) {
        self.filled.end = (self.filled.end + count).min(self.bytes.len());
    }

    /// So many bytes are done with.
    pub(super) fn discard(&mut self, count: usize) {
        self.filled.start = (self.filled.start + count).min(self.filled.end);
        self.release();
    }

    /// Gives the buffer back if there is nothing in it.
    pub(super) fn release(&mut self) {
        if self.filled.is_empty() {
            self.filled = 0..0;
            if !self.bytes.is_empty() {
                give_back(std::mem::take(&mut self.bytes));
            }
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.filled = 0..0;
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_moves_to_the_front_when_there_is_no_room_behind_it() {
        let mut buffer = Buffer::default();
        let room = buffer.space().len();
        assert_eq!(room, SIZE);
        buffer.space()[SIZE - 3..].copy_from_slice(b"end");
        buffer.fill(SIZE);
        assert!(buffer.is_full());
        buffer.discard(SIZE - 3);
        assert!(!buffer.is_full());
        assert_eq!(buffer.filled(), b"end");
        assert_eq!(buffer.space().len(), SIZE - 3);
    }

    #[test]
    fn an_empty_one_holds_no_memory() {
        let mut buffer = Buffer::default();
        buffer.space()[0] = 1;
        buffer.fill(1);
        buffer.discard(1);
        assert!(buffer.is_empty() && buffer.bytes.is_empty());
    }
}
