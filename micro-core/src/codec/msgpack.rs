//! MessagePack by rmp-serde, behind a scan of the structure.
//!
//! rmp-serde 1.3.1 does not count enums, options and newtypes towards its depth limit, so that 25 KB of
//! nesting overflow the stack and abort the process (3Hren/msgpack-rust#381). The scan walks the bytes
//! without recursion and without memory, and refuses what is too deep or shorter than it declares.

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::MAX_DEPTH;
use super::buffer::Buffer;
use crate::status::{Result, Status};

pub(super) fn encode<T: Serialize + ?Sized>(buffer: &mut Buffer, value: &T) -> Result<()> {
    Ok(value.serialize(&mut rmp_serde::Serializer::new(buffer).with_struct_map())?)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    scan(bytes)?;
    rmp_serde::from_slice(bytes).map_err(|error| super::invalid(&error))
}

pub(super) fn decode_seed<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value> {
    scan(bytes)?;
    let mut msgpack = rmp_serde::Deserializer::from_read_ref(bytes);
    seed.deserialize(&mut msgpack).map_err(|error| super::invalid(&error))
}

/// Walks exactly one value.
fn scan(bytes: &[u8]) -> Result<()> {
    // Few messages are nested deeper, and clearing room for all levels costs more than the walk does.
    const USUAL: usize = 8;
    match levels::<USUAL>(bytes)? {
        true => Ok(()),
        false if levels::<MAX_DEPTH>(bytes)? => Ok(()),
        false => Err(Status::invalid_argument("the message is nested deeper than 64 levels")),
    }
}

/// Walks one value of at most `DEPTH` levels; `false` when it has more.
fn levels<const DEPTH: usize>(bytes: &[u8]) -> Result<bool> {
    // How many values are still to come at each level around the innermost, and at that.
    let mut outer = [0u32; DEPTH];
    let (mut depth, mut open) = (0, 1u32);
    let mut at = 0usize;
    loop {
        let Some(marker) = bytes.get(at) else { return Err(cut()) };
        let Head { skip, mut children, width, extra } = HEADS[usize::from(*marker)];
        at += usize::from(skip);
        if width != 0 {
            let number = number(bytes, at, width)?;
            match children {
                0 => at = at.saturating_add(number as usize).saturating_add(extra.into()),
                each => children = number.saturating_mul(each),
            }
            at = at.saturating_add(width.into());
            if at > bytes.len() || children as usize > bytes.len() - at {
                return Err(Status::invalid_argument("the message is shorter than it declares"));
            }
        }
        open -= 1;
        if children > 0 {
            if depth == DEPTH {
                return Ok(false);
            }
            outer[depth] = open;
            depth += 1;
            open = children;
        }
        while open == 0 {
            if depth == 0 {
                return match at.cmp(&bytes.len()) {
                    Ordering::Less => {
                        Err(Status::invalid_argument("there are bytes behind the message"))
                    }
                    Ordering::Equal => Ok(true),
                    Ordering::Greater => Err(cut()),
                };
            }
            depth -= 1;
            open = outer[depth];
        }
    }
}

/// What the first byte of a value says of what is behind it.
#[derive(Clone, Copy)]
struct Head {
    /// Bytes of the marker, and of content whose size it tells.
    skip: u8,
    /// Bytes of a number behind it; [`NO_VALUE`] when no value begins so.
    width: u8,
    /// Bytes of content beside as many as the number says.
    extra: u8,
    /// Values within this one; if there is a number, as many times that. Without values the number is one
    /// of bytes.
    children: u32,
}

const NO_VALUE: u8 = u8::MAX;

static HEADS: [Head; 256] = {
    let mut heads = [content(0); 256];
    let mut marker = 0;
    while marker < 256 {
        heads[marker] = head(marker as u8);
        marker += 1;
    }
    heads
};

/// The bytes are those of the MessagePack specification.
const fn head(marker: u8) -> Head {
    match marker {
        // Small numbers, nil, false and true.
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => content(0),
        // Small maps, arrays and texts.
        0x80..=0x8f => Head { children: 2 * (marker & 0x0f) as u32, ..content(0) },
        0x90..=0x9f => Head { children: (marker & 0x0f) as u32, ..content(0) },
        0xa0..=0xbf => content(marker & 0x1f),
        0xc1 => Head { width: NO_VALUE, ..content(0) },
        // Bytes and texts.
        0xc4 | 0xd9 => Head { width: 1, ..content(0) },
        0xc5 | 0xda => Head { width: 2, ..content(0) },
        0xc6 | 0xdb => Head { width: 4, ..content(0) },
        // An extension is a type byte and its content.
        0xc7 => Head { width: 1, extra: 1, ..content(0) },
        0xc8 => Head { width: 2, extra: 1, ..content(0) },
        0xc9 => Head { width: 4, extra: 1, ..content(0) },
        0xd4 => content(2),
        0xd5 => content(3),
        0xd6 => content(5),
        0xd7 => content(9),
        0xd8 => content(17),
        // Numbers of 1, 2, 4 and 8 bytes; of those 0xca and 0xcb are floats.
        0xcc | 0xd0 => content(1),
        0xcd | 0xd1 => content(2),
        0xce | 0xd2 | 0xca => content(4),
        0xcf | 0xd3 | 0xcb => content(8),
        // Arrays and maps.
        0xdc => Head { width: 2, children: 1, ..content(0) },
        0xdd => Head { width: 4, children: 1, ..content(0) },
        0xde => Head { width: 2, children: 2, ..content(0) },
        0xdf => Head { width: 4, children: 2, ..content(0) },
    }
}

const fn content(bytes: u8) -> Head {
    Head { skip: 1 + bytes, width: 0, extra: 0, children: 0 }
}

/// The big-endian number of this width.
fn number(bytes: &[u8], at: usize, width: u8) -> Result<u32> {
    let rest = bytes.get(at..).unwrap_or_default();
    let number = match width {
        1 => rest.first().map(|byte| u32::from(*byte)),
        2 => rest.first_chunk().map(|bytes| u32::from(u16::from_be_bytes(*bytes))),
        4 => rest.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
        _ => return Err(Status::invalid_argument("the message is not MessagePack")),
    };
    number.ok_or_else(cut)
}

#[cold]
fn cut() -> Status {
    Status::invalid_argument("the message ends in the middle")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde::Deserialize;
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn the_scan_ends_where_the_decoder_does_for_every_marker() {
        for marker in 0..=u8::MAX {
            for tail in [[0; 80], [2; 80]] {
                let bytes = [&[marker][..], &tail].concat();
                let mut decoder = rmp_serde::Deserializer::new(Cursor::new(&bytes));
                let decodes = IgnoredAny::deserialize(&mut decoder).is_ok();
                let end = decoder.get_ref().position() as usize;
                for length in 0..bytes.len() {
                    let expected = decodes && length == end;
                    assert_eq!(scan(&bytes[..length]).is_ok(), expected, "{marker:#x} {length}");
                }
            }
        }
    }
}
