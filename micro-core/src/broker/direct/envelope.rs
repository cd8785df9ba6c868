//! A message as it travels to the process of a subscriber.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::broker::{MAX_BODY, Message, Subscribe};
use crate::codec::{self, Encoding};
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Result, Status};
use crate::topic::{Pattern, Topic};

/// Bytes of the largest envelope: a body and, beside it, full metadata, a key and names.
pub const MAX_ENVELOPE: usize = MAX_BODY + 64 * 1024;

/// A message and whom it is for.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The subscription.
    pub to: Subscribe,
    /// The message.
    pub message: Arc<Message>,
    /// How often it was handed out.
    pub attempt: u32,
}

/// Field names are the protocol: unknown ones are ignored, so that it can grow.
#[derive(Deserialize, Serialize)]
struct Wire<'a> {
    group: &'a str,
    pattern: &'a str,
    #[serde(default)]
    broadcast: bool,
    attempt: u32,
    #[serde(borrow)]
    id: Raw<'a>,
    topic: &'a str,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    encoding: u8,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    metadata: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    body: Raw<'a>,
}

/// Bytes that are written as bytes, and read without a copy.
struct Raw<'a>(&'a [u8]);

impl Envelope {
    /// The envelope as the body of a call.
    ///
    /// # Errors
    /// `Internal` when it cannot be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        let Self { to: Subscribe { pattern, group, broadcast }, message, attempt } = self;
        let Message { id, topic, key, encoding, metadata, body } = &**message;
        let wire = Wire {
            group,
            pattern: pattern.as_str(),
            broadcast: *broadcast,
            attempt: *attempt,
            id: Raw(&id.as_u128().to_be_bytes()),
            topic: topic.as_str(),
            key: key.as_deref(),
            encoding: *encoding as u8,
            metadata: metadata.iter().collect(),
            body: Raw(body),
        };
        codec::encode(Encoding::MessagePack, &wire)
    }

    /// Reads the body of a call; the message's body is a part of it, not a copy.
    ///
    /// # Errors
    /// `InvalidArgument` that says what is wrong with it.
    pub fn decode(bytes: &Bytes) -> Result<Self> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(Status::invalid_argument("the envelope is too large"));
        }
        let seed = std::marker::PhantomData::<Wire<'_>>;
        let wire = codec::decode_seed(Encoding::MessagePack, bytes, seed)?;
        let Ok(id) = <[u8; 16]>::try_from(wire.id.0) else {
            return Err(Status::invalid_argument("the id of a message has 16 bytes"));
        };
        let Some(encoding) = Encoding::from_number(wire.encoding) else {
            return Err(Status::invalid_argument("the encoding of the message is not known"));
        };
        let mut metadata = Metadata::new();
        for (key, value) in wire.metadata {
            metadata
                .insert(key, value)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        let to = Subscribe {
            pattern: Pattern::parse(wire.pattern)?,
            group: wire.group.to_owned(),
            broadcast: wire.broadcast,
        };
        let message = Message {
            id: Id::from_u128(u128::from_be_bytes(id)),
            topic: Topic::parse(wire.topic)?,
            key: wire.key.map(str::to_owned),
            encoding,
            metadata,
            body: bytes.slice_ref(wire.body.0),
        };
        to.check().and_then(|()| message.check()).map_err(|error| error.into_status())?;
        if !to.pattern.matches(&message.topic) {
            return Err(Status::invalid_argument("the subscription does not take this topic"));
        }
        Ok(Self { to, message: Arc::new(message), attempt: wire.attempt })
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        let mut metadata = Metadata::new();
        metadata.insert("tenant", "acme").expect("valid");
        Envelope {
            to: Subscribe {
                pattern: Pattern::parse("orders.*").expect("pattern"),
                group: "billing".into(),
                broadcast: true,
            },
            message: Arc::new(Message {
                id: Id::random(),
                topic: Topic::parse("orders.created").expect("topic"),
                key: Some("7".into()),
                encoding: Encoding::Json,
                metadata,
                body: Bytes::from_static(b"{\"id\":7}"),
            }),
            attempt: 3,
        }
    }

    #[test]
    fn an_envelope_arrives_as_it_was_sent() {
        let sent = envelope();
        let got = Envelope::decode(&sent.encode().expect("encodes")).expect("decodes");
        assert_eq!(format!("{sent:?}"), format!("{got:?}"));
        assert_eq!(got.message.metadata, sent.message.metadata);
        assert_eq!(got.message.body, sent.message.body);
    }

    #[test]
    fn the_body_is_not_copied() {
        let bytes = envelope().encode().expect("encodes");
        let got = Envelope::decode(&bytes).expect("decodes");
        assert!(bytes.as_ptr_range().contains(&got.message.body.as_ptr()));
    }

    #[test]
    fn what_a_peer_must_not_send_is_refused() {
        let refused = |change: fn(&mut Subscribe, &mut Message)| {
            let mut envelope = envelope();
            let mut message = Message::clone(&envelope.message);
            change(&mut envelope.to, &mut message);
            envelope.message = Arc::new(message);
            Envelope::decode(&envelope.encode().expect("encodes")).is_err()
        };
        assert!(!refused(|_, _| {}));
        assert!(refused(|to, _| to.group = "not a name".into()));
        assert!(refused(|_, message| message.id = Id::NIL));
        assert!(refused(|_, message| message.key = Some("k".repeat(2000))));
        assert!(refused(|_, message| message.body = vec![0; MAX_BODY + 1].into()));
        assert!(refused(|_, message| message.topic = Topic::parse("users").expect("topic")));
    }

    #[test]
    fn cut_off_and_altered_bytes_never_panic() {
        let bytes = envelope().encode().expect("encodes");
        for end in 0..bytes.len() {
            assert!(Envelope::decode(&bytes.slice(..end)).is_err());
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut altered = bytes.to_vec();
                altered[at] ^= 1 << bit;
                let _ = Envelope::decode(&altered.into());
            }
        }
    }
}
