//! Codecs: values to bytes and back, in the encoding that the call names.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::status::{Result, Status};

pub mod args;
mod base64;
mod blob;
mod buffer;
mod json;
mod msgpack;

pub use blob::Blob;

use buffer::{Memory, encoded};

/// How a body is encoded. A call names it by content type and is answered in the same.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Encoding {
    /// MessagePack with field names: small, fast, and able to grow.
    #[default]
    MessagePack = 0,
    /// JSON: for people and for other languages.
    Json = 1,
}

/// A value that can travel: it owns its data and knows serde. Implemented for all such types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel over the wire",
    label = "needs `Serialize` and `Deserialize`, and must own its data",
    note = "write `#[message]` above `{Self}`, or derive `serde::Serialize` and `serde::Deserialize`",
    note = "parameters taken by value come from the request; take server-side values by reference (`ctx: &Context`)"
)]
pub trait Wire: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Wire for T {}

/// Bytes of the largest message, on every transport; a larger one is `ResourceExhausted` on the side
/// that sends it and ends the call on the side that receives it. The figure is gRPC's (tonic's) default.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Levels of arrays, maps and enums within one value; deeper bodies are refused before they are decoded,
/// since decoders recurse and a stack overflow cannot be caught.
pub const MAX_DEPTH: usize = 64;

impl Encoding {
    /// The encoding with this number on the wire.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::MessagePack),
            1 => Some(Self::Json),
            _ => None,
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::MessagePack => "application/msgpack",
            Self::Json => "application/json",
        }
    }

    /// The encoding that a media type names; parameters after `;` do not matter.
    pub fn from_content_type(text: &str) -> Option<Self> {
        match text.split(';').next().unwrap_or_default().trim() {
            "application/json" => Some(Self::Json),
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
                Some(Self::MessagePack)
            }
            _ => None,
        }
    }
}

/// Encodes one value, into memory of its own.
///
/// # Errors
/// `Internal` when the value refuses: serde's error stays on this side.
pub fn encode<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Result<Bytes> {
    encode_into(Memory::Own, encoding, value)
}

/// Encodes what leaves at once, as requests, replies and items do: small ones share memory, so that they
/// cost no allocation each. Whatever is kept keeps up to 8 KiB with it.
pub(crate) fn encode_to_send<T: Serialize + ?Sized>(
    encoding: Encoding,
    value: &T,
) -> Result<Bytes> {
    encode_into(Memory::Shared, encoding, value)
}

fn encode_into<T: Serialize + ?Sized>(
    memory: Memory,
    encoding: Encoding,
    value: &T,
) -> Result<Bytes> {
    encoded(memory, |buffer| match encoding {
        Encoding::MessagePack => msgpack::encode(buffer, value),
        Encoding::Json => json::encode(buffer, value),
    })
}

/// Decodes one value. Never panics and never recurses deeper than [`MAX_DEPTH`] whatever the bytes are.
///
/// # Errors
/// `InvalidArgument` that says what does not fit.
pub fn decode<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> Result<T> {
    match encoding {
        Encoding::MessagePack => msgpack::decode(bytes),
        Encoding::Json => json::decode(bytes),
    }
}

/// As [`decode`]; a large [`Blob`] shares the memory of `message`.
pub(crate) fn decode_sharing<T: DeserializeOwned>(
    encoding: Encoding,
    message: &Bytes,
) -> Result<T> {
    blob::within(message, || decode(encoding, message))
}

/// Decodes by a seed, for types that are known only at run time.
pub(crate) fn decode_seed<'de, S: serde::de::DeserializeSeed<'de>>(
    encoding: Encoding,
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value> {
    match encoding {
        Encoding::MessagePack => msgpack::decode_seed(bytes, seed),
        Encoding::Json => json::decode_seed(bytes, seed),
    }
}

/// Decodes a value of unknown type, e.g. to show it to a person.
///
/// # Errors
/// As [`decode`].
pub fn decode_value(encoding: Encoding, bytes: &[u8]) -> Result<serde_json::Value> {
    if bytes.is_empty() {
        return Ok(serde_json::Value::Null);
    }
    decode(encoding, bytes)
}

/// The status of a message that is over [`MAX_MESSAGE`].
pub(crate) fn too_large(size: usize) -> Status {
    Status::resource_exhausted(format!("a message of {size} bytes is larger than {MAX_MESSAGE}"))
}

/// The text of a decoding error, bounded because part of it may be the peer's.
fn invalid(error: &dyn std::fmt::Display) -> Status {
    let text: String = error.to_string().chars().take(256).collect();
    Status::invalid_argument(format!("the message does not fit: {text}"))
}

/// The functions of one type. Made by [`codec`] alone, so that a type that cannot travel is reported once,
/// however often generated code uses it.
#[derive(Debug)]
pub struct Codec<T> {
    /// Decodes.
    pub decode: Decode<T>,
    /// Encodes.
    pub encode: Encode<T>,
}

/// Decodes a `T`. A large [`Blob`] in it shares the memory of the message.
pub type Decode<T> = fn(Encoding, &Bytes) -> Result<T>;
/// Encodes a `T` that leaves at once: small messages share memory with others.
pub type Encode<T> = fn(Encoding, &T) -> Result<Bytes>;

/// The codec of `T`.
pub const fn codec<T: Wire>() -> Codec<T> {
    Codec { decode: decode_sharing::<T>, encode: encode_to_send::<T> }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Everything {
        text: String,
        number: i64,
        float: f64,
        list: Vec<Option<u8>>,
        map: BTreeMap<String, bool>,
        nested: Option<Box<Everything>>,
        choice: Choice,
        unit: (),
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    enum Choice {
        Nothing,
        One(u32),
        Named { a: char, b: (u8, u8) },
    }

    fn everything() -> Everything {
        Everything {
            text: "ä\n\0".into(),
            number: i64::MIN,
            float: 0.1,
            list: vec![None, Some(255)],
            map: BTreeMap::from([("k".into(), true)]),
            nested: Some(Box::new(Everything {
                text: String::new(),
                number: 0,
                float: -1e300,
                list: vec![],
                map: BTreeMap::new(),
                nested: None,
                choice: Choice::Named { a: '✓', b: (1, 2) },
                unit: (),
            })),
            choice: Choice::One(7),
            unit: (),
        }
    }

    const BOTH: [Encoding; 2] = [Encoding::MessagePack, Encoding::Json];

    #[test]
    fn values_survive_both_encodings() {
        for encoding in BOTH {
            let bytes = encode(encoding, &everything()).expect("encodes");
            assert_eq!(decode::<Everything>(encoding, &bytes).expect("decodes"), everything());
            let bytes = encode(encoding, &Choice::Nothing).expect("encodes");
            assert_eq!(decode::<Choice>(encoding, &bytes).expect("decodes"), Choice::Nothing);
        }
    }

    #[test]
    fn every_cut_is_an_error_and_no_panic() {
        for encoding in BOTH {
            let bytes = encode(encoding, &everything()).expect("encodes");
            for end in 0..bytes.len() {
                assert!(decode::<Everything>(encoding, &bytes[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn bytes_behind_the_value_are_refused() {
        for encoding in BOTH {
            let mut bytes = encode(encoding, &1u8).expect("encodes").to_vec();
            bytes.push(b'1');
            bytes.push(b' ');
            bytes.push(b'2');
            assert!(decode::<u8>(encoding, &bytes).is_err());
        }
    }

    #[test]
    fn unknown_fields_are_ignored_so_that_messages_can_grow() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Old {
            number: i64,
        }
        for encoding in BOTH {
            let bytes = encode(encoding, &everything()).expect("encodes");
            assert_eq!(decode::<Old>(encoding, &bytes).expect("decodes").number, i64::MIN);
        }
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    enum Expr {
        Neg(Box<Expr>),
        Some(Option<Box<Expr>>),
        List(Vec<Expr>),
        Leaf,
    }

    #[test]
    fn deep_nesting_is_an_error_and_never_an_abort() {
        let mut shapes: Vec<(Encoding, Vec<u8>)> = Vec::new();
        for n in [65, 1_000, 100_000] {
            shapes.push((Encoding::MessagePack, [0x81, 0xa3, b'N', b'e', b'g'].repeat(n)));
            shapes.push((Encoding::MessagePack, vec![0x91; n]));
            shapes.push((
                Encoding::MessagePack,
                [0x81, 0xa4, b'L', b'i', b's', b't', 0x91].repeat(n),
            ));
            shapes.push((Encoding::Json, br#"{"Neg":"#.repeat(n)));
            shapes.push((Encoding::Json, vec![b'['; n]));
        }
        for (encoding, bytes) in shapes {
            assert!(decode::<Expr>(encoding, &bytes).is_err());
            assert!(decode_value(encoding, &bytes).is_err());
        }
    }

    #[test]
    fn a_declared_length_is_no_reason_to_take_memory() {
        for bytes in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0xdb, 0xff, 0xff, 0xff, 0xff],
            &[0xc6, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(decode::<Vec<String>>(Encoding::MessagePack, bytes).is_err());
            assert!(decode_value(Encoding::MessagePack, bytes).is_err());
        }
    }
}
