//! Broker: how events get from those who publish them to those who listen. At least once, in the order
//! of publication for messages of the same key, without duplicates as far as the window of ids reaches.

use std::fmt;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::BoxFuture;
use crate::codec::Encoding;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Code, Executed, Status};
use crate::topic::{Pattern, Topic};

mod dead;
mod delivery;
pub mod direct;
pub mod memory;

pub use dead::{DEAD_ATTEMPTS, DEAD_ID, DEAD_REASON, DEAD_TOPIC};
pub(crate) use delivery::Settle;
pub use delivery::{Delivery, Subscription, Verdict};

/// Bytes of the largest body: NATS' default, and Kafka's, so that what fits here fits there.
pub const MAX_BODY: usize = 1024 * 1024;
/// Bytes of the longest key.
pub const MAX_KEY: usize = 1024;

/// A way to publish messages and to receive them.
pub trait Broker: fmt::Debug + Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Publishes a message; returns when the broker has it for every group that listens.
    ///
    /// # Errors
    /// On an error no group has the message, unless [`BrokerError::Backend`] says otherwise.
    ///
    /// # Cancel safety
    /// A dropped future has either published the message or not; with the same id it can be repeated.
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Joins a group. Messages that were published before are not delivered, unless the group was there.
    ///
    /// # Errors
    /// When the name of the group is none, or there are too many subscriptions.
    fn subscribe(
        &self,
        subscription: Subscribe,
    ) -> BoxFuture<'_, Result<Subscription, BrokerError>>;

    /// Delivers what it has, and what handling that publishes, until nothing is left or `deadline` has
    /// passed. Then it takes no more messages and every subscription ends.
    ///
    /// Subscribers should therefore run until this is done; a group whose members are gone is waited for.
    /// Returns how many messages nobody has acknowledged: they are lost if the broker lives in this
    /// process, and logged as such.
    fn close(&self, deadline: Instant) -> BoxFuture<'_, usize>;
}

/// What a broker can do. Asking for what it cannot is an error at start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Each member of a group may get each message.
    pub broadcast: bool,
    /// What could not be handled is published to `<topic>.dead`.
    pub dead_letters: bool,
    /// A message with the id of a recent one is not delivered again.
    pub deduplicates: bool,
    /// Messages outlive the process that published them.
    pub durable: bool,
    /// Metadata travels beside the body.
    pub headers: bool,
    /// Messages of one key that one process published are handled one after the other, in order.
    pub ordered_by_key: bool,
    /// What was not acknowledged is delivered again.
    pub redelivery: bool,
    /// Patterns may hold `*` and `>`.
    pub wildcard: bool,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Message {
    /// Tells it from all others, never nil; a message that is published twice is delivered once.
    pub id: Id,
    /// What it is about.
    pub topic: Topic,
    /// Messages with the same key are handled in order.
    pub key: Option<String>,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// The call that it came from, under whose id everything that follows from it is logged.
    pub correlation: Option<Id>,
    /// What travels beside the body.
    pub metadata: Metadata,
    /// The event.
    pub body: Bytes,
}

/// What a subscriber wants.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Subscribe {
    /// The topics.
    pub pattern: Pattern,
    /// Subscriptions with the same group and pattern share the messages: one of them gets each.
    pub group: String,
    /// Gets every message, whoever else is in the group.
    pub broadcast: bool,
}

/// Why a broker did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The backend failed; whether it has the message is not known.
    #[error("the broker failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was closed.
    #[error("the broker is closed")]
    Closed,
    /// A group is too far behind; no group has the message.
    #[error("the queue of group {group} is full")]
    Full {
        /// The group.
        group: String,
    },
    /// What was asked is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It is not known yet who listens; no group has the message.
    #[error("the registry did not say yet who listens")]
    NotReady,
    /// One subscription more than the broker holds.
    #[error("the broker holds at most {limit} subscriptions")]
    TooManySubscriptions {
        /// How many it holds.
        limit: usize,
    },
}

impl BrokerError {
    /// The status that a caller sees.
    pub fn into_status(self) -> Status {
        let code = match self {
            Self::Backend(_) | Self::Closed | Self::NotReady => Code::Unavailable,
            Self::Full { .. } | Self::TooManySubscriptions { .. } => Code::ResourceExhausted,
            Self::Invalid(_) => Code::InvalidArgument,
        };
        let executed = match self {
            Self::Backend(_) => Executed::Maybe,
            _ => Executed::No,
        };
        Status::new(code, self.to_string()).with_executed(executed).with_source(self)
    }
}

impl Message {
    /// Refuses what no broker carries.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        if self.body.len() > MAX_BODY {
            let len = self.body.len();
            let problem = format!("a message of {len} bytes is larger than {MAX_BODY}");
            return Err(BrokerError::Invalid(problem));
        }
        if self.key.as_ref().is_some_and(|key| key.len() > MAX_KEY) {
            return Err(BrokerError::Invalid(format!("the key is longer than {MAX_KEY} bytes")));
        }
        if self.id == Id::NIL {
            return Err(BrokerError::Invalid("the message has no id".into()));
        }
        Ok(())
    }
}

impl Subscribe {
    /// Refuses a group that is not named as services are.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        if crate::text::is_name(&self.group) {
            return Ok(());
        }
        let shown: String = self.group.chars().take(64).collect();
        Err(BrokerError::Invalid(format!("group {shown:?} is not 1 to 128 of `a-z 0-9 _ - .`")))
    }
}
