//! MessagePack by rmp-serde, behind a scan of the structure.
//!
//! rmp-serde 1.3.1 does not count enums, options and newtypes towards its depth limit, so that 25 KB of
//! nesting overflow the stack and abort the process (3Hren/msgpack-rust#381). The scan walks the bytes
//! without recursion and without memory, and refuses what is too deep or shorter than it declares.

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
    // How many values are still to come at each open level.
    let mut open = [0u64; DEPTH];
    let mut depth = 0;
    let mut rest = bytes;
    loop {
        let (content, children) = head(&mut rest)?;
        if content > rest.len() as u64 || children > rest.len() as u64 {
            return Err(Status::invalid_argument("the message is shorter than it declares"));
        }
        rest = &rest[content as usize..];
        if children > 0 {
            if depth == DEPTH {
                return Ok(false);
            }
            open[depth] = children;
            depth += 1;
            continue;
        }
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(true);
    }
    Err(Status::invalid_argument("there are bytes behind the message"))
}

/// Reads one marker with its length: how many bytes of content and how many values follow it. The bytes
/// are those of the MessagePack specification.
#[inline(always)]
fn head(rest: &mut &[u8]) -> Result<(u64, u64)> {
    let [marker] = take::<1>(rest)?;
    Ok(match marker {
        // Small numbers, nil, false and true.
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
        0x90..=0x9f => (0, u64::from(marker & 0x0f)),
        0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
        0xc1 => return Err(Status::invalid_argument("the message is not MessagePack")),
        // Bytes and texts.
        0xc4 | 0xd9 => (number::<1>(rest)?, 0),
        0xc5 | 0xda => (number::<2>(rest)?, 0),
        0xc6 | 0xdb => (number::<4>(rest)?, 0),
        // An extension is a type byte and its content.
        0xc7 => (number::<1>(rest)? + 1, 0),
        0xc8 => (number::<2>(rest)? + 1, 0),
        0xc9 => (number::<4>(rest)? + 1, 0),
        0xd4 => (2, 0),
        0xd5 => (3, 0),
        0xd6 => (5, 0),
        0xd7 => (9, 0),
        0xd8 => (17, 0),
        // Numbers of 1, 2, 4 and 8 bytes; of those 0xca and 0xcb are floats.
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xce | 0xd2 | 0xca => (4, 0),
        0xcf | 0xd3 | 0xcb => (8, 0),
        // Arrays and maps.
        0xdc => (0, number::<2>(rest)?),
        0xdd => (0, number::<4>(rest)?),
        0xde => (0, 2 * number::<2>(rest)?),
        0xdf => (0, 2 * number::<4>(rest)?),
    })
}

/// Takes a big-endian number of this many bytes.
#[inline(always)]
fn number<const BYTES: usize>(rest: &mut &[u8]) -> Result<u64> {
    Ok(take::<BYTES>(rest)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

#[inline(always)]
fn take<const BYTES: usize>(rest: &mut &[u8]) -> Result<[u8; BYTES]> {
    match rest.split_first_chunk::<BYTES>() {
        Some((head, tail)) => {
            *rest = tail;
            Ok(*head)
        }
        None => Err(Status::invalid_argument("the message ends in the middle")),
    }
}
