//! Dead letters: messages that could not be handled, as messages of their own.

use super::Message;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::topic::Topic;

/// Metadata of a dead letter: why the last attempt failed.
pub const DEAD_REASON: &str = "micro-dead-reason";
/// Metadata of a dead letter: the topic of the message.
pub const DEAD_TOPIC: &str = "micro-dead-topic";
/// Metadata of a dead letter: how often the message was handed out.
pub const DEAD_ATTEMPTS: &str = "micro-dead-attempts";
/// Metadata of a dead letter: the id of the message.
pub const DEAD_ID: &str = "micro-dead-id";

/// Bytes of a reason that are kept.
const MAX_REASON: usize = 1024;

impl Message {
    /// The dead letter of this message. It has an id of its own, since a group that listens to both
    /// topics must get both.
    pub(crate) fn dead(&self, reason: &str, attempts: u32) -> Self {
        let ours = [
            (DEAD_REASON, cut(reason, MAX_REASON).to_owned()),
            (DEAD_TOPIC, self.topic.to_string()),
            (DEAD_ATTEMPTS, attempts.to_string()),
            (DEAD_ID, self.id.to_string()),
        ];
        let ours = ours.iter().map(|(key, value)| (*key, value.as_str()));
        let mut metadata = Metadata::new();
        for (key, value) in ours.chain(self.metadata.iter().filter(|(key, _)| !is_ours(key))) {
            // Full only when the message had nearly as much as fits: then its own entries give way.
            if metadata.insert(key, value).is_err() {
                break;
            }
        }
        Self { id: Id::random(), topic: self.topic.dead(), metadata, ..self.clone() }
    }

    /// Whether it is on a topic of dead letters, which are not dead-lettered again.
    pub(crate) fn is_dead(&self) -> bool {
        self.topic.as_str().ends_with(".dead")
    }

    /// The message that this dead letter was, ready to be published again; `None` if it is no dead
    /// letter. It keeps its id, so that the groups that have handled it do not get it twice as long as
    /// they remember it.
    pub fn revive(&self) -> Option<Self> {
        let topic = Topic::parse(self.metadata.get(DEAD_TOPIC)?).ok()?;
        let id = self.metadata.get(DEAD_ID)?.parse().ok()?;
        let mut metadata = self.metadata.clone();
        for key in [DEAD_REASON, DEAD_TOPIC, DEAD_ATTEMPTS, DEAD_ID] {
            metadata.remove(key);
        }
        Some(Self { id, topic, metadata, ..self.clone() })
    }
}

fn is_ours(key: &str) -> bool {
    key.starts_with("micro-dead-")
}

/// The longest beginning of whole characters within `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::Encoding;

    fn message(metadata: Metadata) -> Message {
        Message {
            id: Id::random(),
            topic: Topic::parse("orders.created").expect("topic"),
            key: Some("7".into()),
            encoding: Encoding::Json,
            correlation: None,
            metadata,
            body: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn a_dead_letter_says_what_happened_and_can_be_revived() {
        let mut metadata = Metadata::new();
        metadata.insert("tenant", "acme").expect("valid");
        let message = message(metadata);
        let dead = message.dead("no such sku", 5);
        assert_eq!(dead.topic.as_str(), "orders.created.dead");
        assert_ne!(dead.id, message.id);
        assert_eq!(dead.metadata.get(DEAD_REASON), Some("no such sku"));
        assert_eq!(dead.metadata.get(DEAD_ATTEMPTS), Some("5"));
        let revived = dead.revive().expect("is a dead letter");
        assert_eq!((revived.id, &revived.topic), (message.id, &message.topic));
        assert_eq!(revived.metadata, message.metadata);
        assert!(message.revive().is_none());
    }

    #[test]
    fn the_reason_fits_however_long_it_is_and_however_full_the_metadata() {
        let mut metadata = Metadata::new();
        for i in 0..Metadata::MAX_ENTRIES {
            metadata.insert(format!("k{i}"), "x".repeat(200)).expect("fits");
        }
        let dead = message(metadata).dead(&"ä".repeat(10_000), 5);
        let reason = dead.metadata.get(DEAD_REASON).expect("is kept");
        assert!(reason.len() <= MAX_REASON && reason.ends_with('ä'));
        assert_eq!(dead.metadata.get(DEAD_TOPIC), Some("orders.created"));
    }
}
