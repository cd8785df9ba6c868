//! Blob: bytes that travel as they are.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::base64;
use crate::schema::{Schema, Shape, Type};

/// A smaller blob is copied out of the message that it came in.
const SLICED: usize = 1024;

/// Bytes that are one value, e.g. the content of a file: for fields of messages that carry bulk data.
///
/// A `Vec<u8>` travels as a list of numbers; a `Blob` travels as it is, and as base64 in JSON. A blob that
/// makes up at least a quarter of a message of 1 KiB and more is not copied when the message is decoded: it
/// shares the message's memory, which therefore stays until the blob is dropped.
///
/// ```
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct Page {
///     number: u32,
///     content: micro_core::Blob,
/// }
///
/// let page = Page { number: 1, content: vec![1, 2, 3].into() };
/// assert_eq!(page.content[1..], [2, 3]);
/// ```
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Blob(Bytes);

impl Blob {
    /// The bytes, which may share memory with others.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Blob> for Bytes {
    fn from(blob: Blob) -> Self {
        blob.0
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Schema for Blob {
    const TYPE: &'static Type = &Type { name: "bytes", id: None, shape: Shape::String };
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&base64::encode(&self.0)),
            false => serializer.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_str(Text),
            false => deserializer.deserialize_byte_buf(Raw),
        }
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
        base64::decode(text).map(Blob::from).ok_or_else(|| E::custom("this is not base64"))
    }
}

struct Raw;

impl<'de> Visitor<'de> for Raw {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Blob, E> {
        Ok(Blob(sliced(bytes).unwrap_or_else(|| Bytes::copy_from_slice(bytes))))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob(bytes.into()))
    }

    /// From a peer that sends a `Vec<u8>`.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Blob, A::Error> {
        // The length is the peer's word.
        let mut bytes = Vec::with_capacity(list.size_hint().unwrap_or(0).min(4096));
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

thread_local! {
    /// The message that this thread is decoding, if blobs may share its memory.
    static MESSAGE: RefCell<Option<Bytes>> = const { RefCell::new(None) };
}

/// Decodes a message whose blobs may share its memory.
#[inline]
pub(super) fn within<R>(message: &Bytes, decode: impl FnOnce() -> R) -> R {
    /// Puts back what was decoded before, also when decoding panics.
    struct Before(Option<Bytes>);

    impl Drop for Before {
        fn drop(&mut self) {
            MESSAGE.set(self.0.take());
        }
    }

    if message.len() < SLICED {
        return decode();
    }
    let _before = Before(MESSAGE.replace(Some(message.clone())));
    decode()
}

/// These bytes as a part of the message that is being decoded, if they are a large part of it.
fn sliced(bytes: &[u8]) -> Option<Bytes> {
    MESSAGE.with_borrow(|message| {
        let message = message.as_ref()?;
        let (start, end) = (bytes.as_ptr().addr(), bytes.as_ptr().addr() + bytes.len());
        let (first, last) = (message.as_ptr().addr(), message.as_ptr().addr() + message.len());
        let is_part = first <= start && end <= last && !bytes.is_empty();
        (is_part && bytes.len() * 4 >= message.len()).then(|| message.slice_ref(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Encoding, codec, decode, encode};

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Page {
        number: u32,
        content: Blob,
        rest: Option<Blob>,
    }

    fn page(size: usize) -> Page {
        Page { number: 7, content: vec![9; size].into(), rest: Some(vec![1, 2, 3].into()) }
    }

    #[test]
    fn blobs_survive_both_encodings() {
        for encoding in [Encoding::MessagePack, Encoding::Json] {
            for size in [0, 1, 2, 3, 100, 70_000] {
                let bytes = (codec::<Page>().encode)(encoding, &page(size)).expect("encodes");
                let decoded = (codec::<Page>().decode)(encoding, &bytes);
                assert_eq!(decoded.expect("decodes"), page(size));
                assert_eq!(decode::<Page>(encoding, &bytes).expect("decodes"), page(size));
            }
        }
    }

    #[test]
    fn a_large_blob_shares_the_memory_of_its_message_and_a_small_one_does_not() {
        let bytes = encode(Encoding::MessagePack, &page(70_000)).expect("encodes");
        let range = bytes.as_ptr_range();
        let decoded = (codec::<Page>().decode)(Encoding::MessagePack, &bytes).expect("decodes");
        assert!(range.contains(&decoded.content.as_ptr()));
        assert!(!range.contains(&decoded.rest.expect("there").as_ptr()));
        // Nothing is known of other memory.
        let copied: Page = decode(Encoding::MessagePack, &bytes).expect("decodes");
        assert!(!range.contains(&copied.content.as_ptr()));
    }

    #[test]
    fn a_list_of_numbers_is_a_blob_too() {
        let bytes = encode(Encoding::MessagePack, &vec![1u8, 200, 3]).expect("encodes");
        let blob: Blob = decode(Encoding::MessagePack, &bytes).expect("decodes");
        assert_eq!(*blob, [1, 200, 3]);
        assert!(decode::<Blob>(Encoding::Json, br#""no base64!""#).is_err());
    }
}
