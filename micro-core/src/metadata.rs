//! Metadata: small keys and values beside a message, bounded so that a peer cannot fill memory with them.

use std::fmt;

/// Keys and values that travel beside a request, a reply or an event.
///
/// Keys are ASCII `a-z 0-9 . _ -`, values any UTF-8 text; keys that begin with `micro-` belong to the
/// framework. A set holds at most [`Metadata::MAX_ENTRIES`] entries and [`Metadata::MAX_BYTES`] bytes.
///
/// ```
/// let mut metadata = micro_core::Metadata::new();
/// metadata.insert("tenant", "acme")?;
/// assert_eq!(metadata.get("tenant"), Some("acme"));
/// # Ok::<(), micro_core::MetadataError>(())
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Metadata {
    // `None` when there are no entries: most sets are empty, and are moved with every call and reply.
    entries: Option<Box<Entries>>,
}

#[derive(Clone, Default, Eq, PartialEq)]
struct Entries {
    // A vector: sets are small, and the order of insertion is kept.
    list: Vec<(String, String)>,
    bytes: usize,
}

/// Why an entry was not taken.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A key outside of `a-z 0-9 . _ -`, empty, or longer than [`Metadata::MAX_KEY`].
    #[error("metadata key {0:?} is not 1 to 64 of `a-z 0-9 . _ -`")]
    Key(String),
    /// One more entry, or more bytes, than a set holds.
    #[error("metadata holds at most 64 entries and 16 KiB")]
    Full,
    /// A value longer than [`Metadata::MAX_VALUE`].
    #[error("the value of metadata key `{0}` is longer than 4 KiB")]
    Value(String),
}

impl Metadata {
    /// Entries in one set.
    pub const MAX_ENTRIES: usize = 64;
    /// Bytes of one key.
    pub const MAX_KEY: usize = 64;
    /// Bytes of one value.
    pub const MAX_VALUE: usize = 4 * 1024;
    /// Bytes of all keys and values.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// An empty set; allocates nothing.
    pub const fn new() -> Self {
        Self { entries: None }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.list().iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Sets `key`, replacing what it held.
    ///
    /// # Errors
    /// When the key or value is not allowed, or the set is full.
    pub fn insert(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), MetadataError> {
        let (key, value) = (key.into(), value.into());
        if !is_key(&key) {
            return Err(MetadataError::Key(key.chars().take(Self::MAX_KEY).collect()));
        }
        if value.len() > Self::MAX_VALUE {
            return Err(MetadataError::Value(key));
        }
        let old = self.list().iter().position(|(k, _)| *k == key);
        let freed = old.map_or(0, |i| key.len() + self.list()[i].1.len());
        let held = self.entries.as_ref().map_or(0, |entries| entries.bytes);
        let bytes = held - freed + key.len() + value.len();
        if bytes > Self::MAX_BYTES || (old.is_none() && self.len() == Self::MAX_ENTRIES) {
            return Err(MetadataError::Full);
        }
        let entries = self.entries.get_or_insert_default();
        entries.bytes = bytes;
        match old {
            Some(i) => entries.list[i].1 = value,
            None => entries.list.push((key, value)),
        }
        Ok(())
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let entries = self.entries.as_mut()?;
        let i = entries.list.iter().position(|(k, _)| k == key)?;
        let (key, value) = entries.list.remove(i);
        entries.bytes -= key.len() + value.len();
        if entries.list.is_empty() {
            self.entries = None;
        }
        Some(value)
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.list().iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_none()
    }

    fn list(&self) -> &[(String, String)] {
        self.entries.as_ref().map_or(&[], |entries| &entries.list)
    }
}

/// Shows the keys only: values may be credentials.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.list().iter().map(|(k, _)| k)).finish()
    }
}

fn is_key(key: &str) -> bool {
    (1..=Metadata::MAX_KEY).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_accepted_and_one_more_is_refused() {
        let mut m = Metadata::new();
        for i in 0..Metadata::MAX_ENTRIES {
            m.insert(format!("k{i}"), "v").expect("within the limit");
        }
        assert_eq!(m.insert("one-more", "v"), Err(MetadataError::Full));
        m.insert("k0", "replaced").expect("replacing is not adding");
        let mut m = Metadata::new();
        m.insert("a".repeat(Metadata::MAX_KEY), "").expect("longest key");
        assert!(m.insert("a".repeat(Metadata::MAX_KEY + 1), "").is_err());
        m.insert("v", "x".repeat(Metadata::MAX_VALUE)).expect("longest value");
        assert!(m.insert("v", "x".repeat(Metadata::MAX_VALUE + 1)).is_err());
        assert!(m.insert("Upper", "x").is_err());
        assert!(m.insert("", "x").is_err());
    }

    #[test]
    fn removing_gives_the_room_back() {
        let mut m = Metadata::new();
        for _ in 0..100 {
            m.insert("k", "x".repeat(Metadata::MAX_VALUE)).expect("room");
            assert!(m.remove("k").is_some());
        }
        assert!(m.is_empty());
    }

    #[test]
    fn debug_shows_no_values() {
        let mut m = Metadata::new();
        m.insert("authorization", "Bearer secret").expect("valid");
        assert_eq!(format!("{m:?}"), r#"{"authorization"}"#);
    }
}
