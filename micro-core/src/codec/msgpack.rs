//! MessagePack by rmp-serde, behind a scan of the structure.
//!
//! rmp-serde 1.3.1 does not count enums, options and newtypes towards its depth limit, so that 25 KB of
//! nesting overflow the stack and abort the process (3Hren/msgpack-rust#381). The scan walks the bytes
//! without recursion and without memory, and refuses what is too deep or shorter than it declares.

use rmp::Marker;
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

/// Reads one marker with its length: how many bytes of content and how many values follow it.
#[inline]
fn head(rest: &mut &[u8]) -> Result<(u64, u64)> {
    let marker = Marker::from_u8(number(rest, 1)? as u8);
    Ok(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
            (0, 0)
        }
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(n) => (n.into(), 0),
        Marker::Str8 | Marker::Bin8 => (number(rest, 1)?, 0),
        Marker::Str16 | Marker::Bin16 => (number(rest, 2)?, 0),
        Marker::Str32 | Marker::Bin32 => (number(rest, 4)?, 0),
        // An extension is a type byte and its content.
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (number(rest, 1)? + 1, 0),
        Marker::Ext16 => (number(rest, 2)? + 1, 0),
        Marker::Ext32 => (number(rest, 4)? + 1, 0),
        Marker::FixArray(n) => (0, n.into()),
        Marker::Array16 => (0, number(rest, 2)?),
        Marker::Array32 => (0, number(rest, 4)?),
        Marker::FixMap(n) => (0, 2 * u64::from(n)),
        Marker::Map16 => (0, 2 * number(rest, 2)?),
        Marker::Map32 => (0, 2 * number(rest, 4)?),
        Marker::Reserved => return Err(Status::invalid_argument("the message is not MessagePack")),
    })
}

/// Takes a big-endian number of this many bytes.
#[inline]
fn number(rest: &mut &[u8], bytes: usize) -> Result<u64> {
    let Some((head, tail)) = rest.split_at_checked(bytes) else {
        return Err(Status::invalid_argument("the message ends in the middle"));
    };
    *rest = tail;
    Ok(head.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}
