//! The ends of what one connection carries: a QUIC stream says by itself where it ends, here the frames
//! must.

use crate::wire::kind;

/// What begins every connection: a frame of its own kind that says which lane it belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Join {
    pub(super) role: Role,
    /// Chosen by the client at random, so that nobody else knows it.
    pub(super) lane: [u8; 16],
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// The lane, for as long as it lives.
    Lane,
    /// Streams of the lane's connection, one after the other.
    Streams,
}

impl Join {
    /// Its size on the wire.
    pub(super) const SIZE: usize = 22;
    const LENGTH: u32 = Self::SIZE as u32 - 4;
    const KIND: u8 = 32;

    pub(super) fn bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&Self::LENGTH.to_le_bytes());
        bytes[4] = Self::KIND;
        bytes[5] = self.role as u8;
        bytes[6..].copy_from_slice(&self.lane);
        bytes
    }

    pub(super) fn read(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [l0, l1, l2, l3, kind, role, lane @ ..] = bytes;
        let role = match role {
            0 => Role::Lane,
            1 => Role::Streams,
            _ => return None,
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        (length == Self::LENGTH && kind == Self::KIND).then_some(Self { role, lane })
    }
}

/// A length that no frame has: a client has no more items, a server did not take the stream.
pub(super) const NOTHING: [u8; 4] = [0; 4];

/// Follows the frames of one half of a stream to its end.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// The beginning of a length whose rest has not come.
    length: [u8; 4],
    held: usize,
    /// Bytes of the frame that are still to come.
    left: usize,
    at: At,
    ended: Option<Ended>,
}

/// Where in a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum At {
    #[default]
    Kind,
    /// Behind the kind of an `OPEN`: which kind of call it is.
    Call,
    Rest,
    /// In a frame that is the last.
    Last,
}

/// How a half has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// By its last frame.
    Frame,
    /// By [`NOTHING`].
    Nothing,
}

impl Half {
    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Hands the frames in `bytes` on, up to the end of the half; what is behind it is left over.
    pub(super) fn pass<'a>(&mut self, bytes: &'a [u8], mut on: impl FnMut(&[u8])) -> &'a [u8] {
        // What is not handed on yet begins here.
        let mut start = 0;
        let mut here = 0;
        while here < bytes.len() && self.ended.is_none() {
            if self.left > 0 {
                here += self.step(&bytes[here..]);
                continue;
            }
            let piece = &bytes[here..bytes.len().min(here + 4 - self.held)];
            self.length[self.held..][..piece.len()].copy_from_slice(piece);
            self.held += piece.len();
            let is_split = self.held > piece.len() || self.held < 4;
            here += piece.len();
            if is_split || self.length == NOTHING {
                on(&bytes[start..here - piece.len()]);
                start = here;
            }
            if self.held < 4 {
                break;
            }
            self.held = 0;
            if self.length == NOTHING {
                self.ended = Some(Ended::Nothing);
                break;
            }
            if is_split {
                on(&self.length);
            }
            self.left = u32::from_le_bytes(self.length) as usize;
            self.at = At::Kind;
        }
        on(&bytes[start..here]);
        &bytes[here..]
    }

    /// Goes on in a frame: by how much.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let count = match self.at {
            At::Kind | At::Call => 1,
            At::Rest | At::Last => self.left.min(bytes.len()),
        };
        self.at = match (self.at, bytes.first()) {
            (At::Kind, Some(&kind::OPEN)) => At::Call,
            (At::Kind, Some(&kind::END)) => At::Last,
            // Without items of the client the request is all.
            (At::Call, Some(0 | 1)) => At::Last,
            (At::Last, _) => At::Last,
            _ => At::Rest,
        };
        self.left -= count;
        if self.left == 0 && self.at == At::Last {
            self.ended = Some(Ended::Frame);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &[u8] = &[2, 0, 0, 0, 17, 9];
    const ENDS: &[u8] = &[3, 0, 0, 0, 18, 0, 0];

    /// What is handed on, how it ended and what is left, whatever the pieces are that it comes in.
    fn passed(bytes: &[u8]) -> (Vec<u8>, Option<Ended>, usize) {
        let whole = in_pieces(bytes, bytes.len().max(1));
        for size in 1..8 {
            assert_eq!(in_pieces(bytes, size), whole, "pieces of {size}");
        }
        whole
    }

    fn in_pieces(bytes: &[u8], size: usize) -> (Vec<u8>, Option<Ended>, usize) {
        let (mut half, mut seen, mut left) = (Half::default(), Vec::new(), 0);
        for piece in bytes.chunks(size) {
            left += half.pass(piece, |bytes| seen.extend_from_slice(bytes)).len();
        }
        (seen, half.ended(), left)
    }

    fn open(kind: u8) -> Vec<u8> {
        vec![4, 0, 0, 0, 16, kind, 1, 2]
    }

    #[test]
    fn an_end_is_the_last_frame() {
        let bytes = [ITEM, ENDS].concat();
        assert_eq!(passed(&bytes), (bytes.clone(), Some(Ended::Frame), 0));
        let more = [ITEM, ENDS, ITEM].concat();
        assert_eq!(passed(&more), (bytes, Some(Ended::Frame), ITEM.len()));
        assert_eq!(passed(ITEM), (ITEM.to_vec(), None, 0));
    }

    #[test]
    fn an_open_is_the_last_frame_where_no_items_follow() {
        for kind in 0..4 {
            let bytes = [&[1, 0, 0, 0, 200][..], &open(kind)].concat();
            let ended = (kind < 2).then_some(Ended::Frame);
            assert_eq!(passed(&bytes), (bytes, ended, 0));
        }
    }

    #[test]
    fn nothing_ends_it_and_is_not_handed_on() {
        let frames = [&open(2), ITEM].concat();
        let bytes = [&frames, &NOTHING[..]].concat();
        assert_eq!(passed(&bytes), (frames, Some(Ended::Nothing), 0));
        assert_eq!(passed(&NOTHING), (Vec::new(), Some(Ended::Nothing), 0));
        assert_eq!(passed(&[0, 0]), (Vec::new(), None, 0));
    }

    #[test]
    fn a_join_is_read_as_it_was_written() {
        for role in [Role::Lane, Role::Streams] {
            let join = Join { role, lane: *b"0123456789abcdef" };
            assert_eq!(Join::read(join.bytes()), Some(join));
        }
        assert_eq!(Join::read([0; Join::SIZE]), None);
    }

    #[test]
    fn the_specification_shows_a_join() {
        let text = include_str!("../../../../docs/wire.md");
        let (_, block) = text.split_once("```bytes join\n").expect("a block");
        let (block, _) = block.split_once("```").expect("its end");
        let shown = block.lines().flat_map(|line| {
            let bytes = line.split_once("  ").map_or(line, |(bytes, _)| bytes);
            bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal"))
        });
        let lane = std::array::from_fn(|n| 0x11 * n as u8);
        let join = Join { role: Role::Streams, lane };
        assert_eq!(shown.collect::<Vec<_>>(), join.bytes());
    }
}
