//! Topics: dotted names, and the patterns that match them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// A concrete topic: 1 to 16 tokens of `a-z A-Z 0-9 _ -` joined by dots, at most 255 bytes. Cheap to clone.
///
/// ```
/// use micro_core::Topic;
/// assert!(Topic::parse("orders.created").is_ok());
/// assert!(Topic::parse("orders.*").is_err());
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(Arc<str>);

/// A pattern: like a topic, where a token `*` stands for one token and a last `>` for all that follow.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Arc<str>);

/// Bytes of the longest topic or pattern.
pub const MAX_TOPIC: usize = 255;
/// Tokens of the longest topic or pattern.
pub const MAX_TOKENS: usize = 16;

macro_rules! words {
    ($($name:ident, $wild:literal, $what:literal;)*) => {$(
        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// `InvalidArgument` that says what is wrong with it.
            pub fn parse(text: impl Into<String>) -> Result<Self, Status> {
                let text = text.into();
                match problem(&text, $wild) {
                    None => Ok(Self(text.into())),
                    Some(problem) => {
                        let shown: String = text.chars().take(MAX_TOPIC).collect();
                        Err(Status::invalid_argument(format!("{} {shown:?} {problem}", $what)))
                    }
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::status::StatusError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(text).map_err(Status::into_error)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
words! {
    Topic, false, "topic";
    Pattern, true, "pattern";
}

impl Pattern {
    /// Whether `topic` is one of those that the pattern stands for.
    pub fn matches(&self, topic: &Topic) -> bool {
        matches(&self.0, &topic.0)
    }
}

impl Topic {
    /// Where messages of this topic go that could not be handled.
    pub fn dead(&self) -> Self {
        Self(format!("{}.dead", self.0).into())
    }
}

/// Whether a pattern stands for a topic: `*` is one token, a last `>` one or more.
///
/// Both are taken to be well-formed.
pub const fn matches(pattern: &str, topic: &str) -> bool {
    let (pattern, topic) = (pattern.as_bytes(), topic.as_bytes());
    let (mut p, mut t) = (0, 0);
    loop {
        if p >= pattern.len() || t >= topic.len() {
            return p >= pattern.len() && t >= topic.len();
        }
        match pattern[p] {
            b'>' => return true,
            b'*' => {
                p += 1;
                while t < topic.len() && topic[t] != b'.' {
                    t += 1;
                }
            }
            _ => {
                while p < pattern.len() && pattern[p] != b'.' {
                    if t >= topic.len() || topic[t] != pattern[p] {
                        return false;
                    }
                    p += 1;
                    t += 1;
                }
            }
        }
        // Both are at the end of a token, or the topic's token goes on.
        let (pattern_ends, topic_ends) = (p >= pattern.len(), t >= topic.len());
        if pattern_ends || topic_ends {
            return pattern_ends && topic_ends;
        }
        if topic[t] != b'.' {
            return false;
        }
        p += 1;
        t += 1;
    }
}

fn problem(text: &str, wild: bool) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > MAX_TOPIC {
        return Some("is longer than 255 bytes");
    }
    let tokens = text.split('.').count();
    if tokens > MAX_TOKENS {
        return Some("has more than 16 tokens");
    }
    for (i, token) in text.split('.').enumerate() {
        match token {
            "" => return Some("has an empty token"),
            "*" | ">" if !wild => return Some("has a wildcard; only patterns have them"),
            ">" if i + 1 != tokens => return Some("has `>` before its end"),
            "*" | ">" => {}
            _ if token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) => {}
            _ => return Some("has a character outside of `a-z A-Z 0-9 _ - .`"),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_tokens() {
        let matches = |pattern: &str, topic: &str| {
            Pattern::parse(pattern).expect("pattern").matches(&Topic::parse(topic).expect("topic"))
        };
        assert!(matches("orders.*", "orders.created"));
        assert!(!matches("orders.*", "orders.eu.created"));
        assert!(!matches("orders.*", "orders"));
        assert!(matches("orders.>", "orders.eu.created"));
        assert!(!matches("orders.>", "orders"));
        assert!(matches(">", "orders"));
        assert!(matches("*.created", "orders.created"));
        assert!(!matches("order", "orders"));
        assert!(!matches("orders", "order"));
    }

    #[test]
    fn what_is_no_topic_says_why() {
        for bad in ["", "a..b", ".a", "a.", "a b", "a.*", "ä", "a/b"] {
            assert!(Topic::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Topic::parse("a".repeat(256)).is_err());
        assert!(Topic::parse(["a"; 17].join(".")).is_err());
        assert!(Pattern::parse("a.>.b").is_err());
        assert!(Pattern::parse("a.b*").is_err());
    }
}
