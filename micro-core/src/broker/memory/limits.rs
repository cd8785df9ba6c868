//! How much the embedded broker holds, and how long it waits.

use std::time::Duration;

/// Limits of a [`super::MemoryBroker`]; each has a stated answer to what lies beyond it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How long a member may take to acknowledge (30 s). Then the message counts as failed.
    pub ack_wait: Duration,
    /// How often a message is handed out (5). Then it goes to the dead letters.
    pub attempts: u32,
    /// How long the shortest (100 ms) and the longest (10 s) wait before the next attempt is.
    pub backoff: (Duration, Duration),
    /// Dead letters that are kept in memory (1,000). Then the oldest is dropped and counted.
    pub dead_letters: usize,
    /// How long `publish` waits for room in a group (1 s). Then it fails.
    pub full_wait: Duration,
    /// Bytes that wait in one group (64 MiB); see `queue_messages`.
    pub queue_bytes: usize,
    /// Messages that wait in one group (65,536). Then `publish` waits.
    pub queue_messages: usize,
    /// Ids of messages that a group remembers (65,536). A duplicate of an older one is delivered.
    pub remembered: usize,
    /// How long a group without members keeps its messages (10 min). Then they are dropped and counted.
    pub retention: Duration,
    /// Subscriptions of this process (1,000). One more is refused.
    pub subscriptions: usize,
    /// Messages that one member has not acknowledged (1,024, or 256 KiB of them). Then it gets no more.
    pub window: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ack_wait: Duration::from_secs(30),
            attempts: 5,
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            dead_letters: 1_000,
            full_wait: Duration::from_secs(1),
            queue_bytes: 64 * 1024 * 1024,
            queue_messages: 65_536,
            remembered: 65_536,
            retention: Duration::from_secs(600),
            subscriptions: 1_000,
            window: 1_024,
        }
    }
}

impl Limits {
    /// The wait after this many failed attempts: doubled each time, up to half as much again as jitter.
    pub(super) fn wait_after(&self, attempt: u32) -> Duration {
        let (shortest, longest) = self.backoff;
        let wait = shortest.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
        // Jitter spreads what failed together; 10 bits of noise are plenty for that.
        let jitter = wait / 2 * (crate::id::noise() % 1024) as u32 / 1024;
        (wait + jitter).min(longest)
    }
}
