//! A message as all groups share it: kept once, and put into its wire form once, alone or with those that
//! were published after it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::broker::Message;

#[derive(Debug)]
pub(in crate::broker) struct Packed {
    pub(in crate::broker) message: Arc<Message>,
    /// Its place among all that the broker was given: neighbours have neighbouring numbers.
    pub(in crate::broker) number: u64,
    /// Whether a batch that holds enough should end before it, so that batches of several groups are the
    /// same.
    pub(super) begins_run: bool,
    pub(super) size: usize,
    /// Bytes that it takes here, about: what it holds, and what holding it needs.
    pub(super) cost: usize,
    record: OnceLock<Bytes>,
    batch: OnceLock<(Run, Bytes)>,
}

/// Bytes after which another run begins.
pub(in crate::broker) const RUN_BYTES: usize = 64 * 1024;

/// What tells a batch that begins with a message from others that do, if its messages are neighbours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::broker) struct Run {
    /// How many messages.
    pub(in crate::broker) count: usize,
    /// Whom it goes to, as far as the wire form says that.
    pub(in crate::broker) to: (u32, u32),
}

impl Packed {
    pub(super) fn new(message: Arc<Message>) -> Self {
        let Message { id: _, topic, key, encoding: _, correlation: _, metadata, body } = &*message;
        let key = key.as_ref().map_or(0, String::len);
        let entries: usize = metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        let size = 48 + topic.as_str().len() + key + entries + body.len();
        let cost = 256 + size + key + 48 * metadata.len();
        let (record, batch) = (OnceLock::new(), OnceLock::new());
        Self { message, number: 0, begins_run: false, size, cost, record, batch }
    }

    /// Bytes of the wire form, about.
    pub(in crate::broker) fn size(&self) -> usize {
        self.size
    }

    /// The wire form, made by the first that asks.
    pub(in crate::broker) fn record(&self, make: impl FnOnce(&Message) -> Bytes) -> &Bytes {
        self.record.get_or_init(|| make(&self.message))
    }

    /// The wire form of a batch that begins with this, made by the first that asks for one. None for who
    /// asks for another.
    pub(in crate::broker) fn batch(&self, run: Run, make: impl FnOnce() -> Bytes) -> Option<Bytes> {
        let (made, batch) = self.batch.get_or_init(|| (run, make()));
        (*made == run).then(|| batch.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoding;
    use crate::id::Id;
    use crate::metadata::Metadata;
    use crate::topic::Topic;

    #[test]
    fn a_batch_is_made_once_and_never_given_for_another() {
        let message = Message {
            id: Id::random(),
            topic: Topic::parse("t").expect("topic"),
            key: None,
            encoding: Encoding::Json,
            correlation: None,
            metadata: Metadata::new(),
            body: Bytes::new(),
        };
        let packed = Packed::new(Arc::new(message));
        let run = Run { count: 3, to: (0, 1) };
        let make = || Bytes::from_static(b"batch");
        assert_eq!(packed.batch(run, make), Some(make()));
        assert_eq!(packed.batch(run, || panic!("again")), Some(make()));
        assert_eq!(packed.batch(Run { count: 4, ..run }, make), None);
        assert_eq!(packed.batch(Run { to: (0, 2), ..run }, make), None);
    }
}
