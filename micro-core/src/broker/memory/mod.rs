//! The broker inside one process: a queue for each group, in memory.
//!
//! What it holds ends with the process. Between processes see [`super::direct`].

use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::{Broker, BrokerError, Capabilities, Message, Subscribe, Subscription};
use crate::call::BoxFuture;
use crate::sync::lock;
use crate::tasks;

mod consumer;
mod effects;
mod groups;
mod limits;
mod packed;
mod queue;
mod recent;
mod ring;
mod state;
mod topics;

pub(super) use consumer::{Consumer, Group};
pub use limits::Limits;
pub(super) use packed::{Packed, RUN_BYTES, Run};
pub(super) use queue::{Handout, Most};
pub(super) use recent::Recent;
pub(super) use ring::Ring;
pub use state::Stats;

use effects::Effects;
use state::State;

/// A broker for the subscribers of this process.
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

/// What the broker, its consumers and its deliveries share.
struct Shared {
    state: Mutex<State>,
    /// Somebody who was refused should ask again.
    room: Notify,
    /// The clock should look again when it must wake.
    alarm: Arc<Notify>,
    /// Nothing is left to deliver.
    drained: Notify,
    clock: Mutex<Option<AbortHandle>>,
    limits: Arc<Limits>,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBroker {
    /// A broker with the default limits.
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A broker with these limits.
    pub fn with_limits(limits: Limits) -> Self {
        let limits = Arc::new(limits);
        let shared = Shared {
            state: Mutex::new(State::new(limits.clone())),
            room: Notify::new(),
            alarm: Arc::default(),
            drained: Notify::new(),
            clock: Mutex::new(None),
            limits,
        };
        Self { shared: Arc::new(shared) }
    }

    /// What it has counted so far.
    pub fn stats(&self) -> Stats {
        lock(&self.shared.state).stats
    }

    /// The dead letters that are kept in memory, oldest first.
    pub fn dead_letters(&self) -> Vec<Arc<Message>> {
        lock(&self.shared.state).dead_letters.iter().cloned().collect()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Joins a group at once. `ack_wait` is this member's own; `owned` subscriptions are those of the
    /// application, which are counted against the limit.
    pub(super) fn join(
        &self,
        wanted: &Subscribe,
        ack_wait: Duration,
        owned: bool,
    ) -> Result<Consumer, BrokerError> {
        self.start_clock();
        let (queue, member) = lock(&self.shared.state).join(wanted, ack_wait, owned)?;
        Ok(Consumer::new(self.shared.clone(), queue, member, owned))
    }

    /// There is a clock as soon as there is something that waits for it, and again when the runtime
    /// that it ran on is gone.
    fn start_clock(&self) {
        let mut clock = lock(&self.shared.clock);
        if clock.as_ref().is_none_or(AbortHandle::is_finished) {
            let (shared, alarm) = (Arc::downgrade(&self.shared), self.shared.alarm.clone());
            *clock = Some(tasks::spawn(run_clock(shared, alarm)));
        }
    }
}

impl Broker for MemoryBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            broadcast: true,
            dead_letters: true,
            deduplicates: true,
            durable: false,
            headers: true,
            ordered_by_key: true,
            redelivery: true,
            wildcard: true,
        }
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.shared.publish(message))
    }

    fn subscribe(&self, wanted: Subscribe) -> BoxFuture<'_, Result<Subscription, BrokerError>> {
        Box::pin(async move {
            self.join(&wanted, self.shared.limits.ack_wait, true).map(Subscription::new)
        })
    }

    fn close(&self, deadline: Instant) -> BoxFuture<'_, usize> {
        Box::pin(self.shared.close(deadline))
    }
}

impl Shared {
    /// Changes the state and does what follows from it outside of the lock.
    fn update<T>(&self, change: impl FnOnce(&mut State, Instant, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let mut state = lock(&self.state);
        let now = Instant::now();
        let value = change(&mut state, now, &mut effects);
        state.finish(now, &mut effects);
        drop(state);
        let Effects { wake, room, sooner, drained, .. } = effects;
        wake.into_iter().for_each(Waker::wake);
        if room {
            self.room.notify_waiters();
        }
        if sooner {
            self.alarm.notify_one();
        }
        if drained {
            self.drained.notify_waiters();
        }
        value
    }

    async fn publish(&self, message: Message) -> Result<(), BrokerError> {
        message.check()?;
        // Or a loop of publishes would fill the queues before anybody gets to empty them.
        tokio::task::coop::consume_budget().await;
        let message = Arc::new(message);
        let deadline = Instant::now() + self.limits.full_wait;
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // Before looking, so that no room that appears in between is missed.
            room.as_mut().enable();
            let tried = self.update(|state, now, effects| state.publish(&message, now, effects));
            match tried {
                Err(BrokerError::Full { .. }) if Instant::now() < deadline => {
                    // Late is not an error yet: the last look decides.
                    let _ = timeout_at(deadline, room).await;
                }
                tried => return tried,
            }
        }
    }

    async fn close(&self, deadline: Instant) -> usize {
        self.update(|state, _, _| state.close());
        let left = loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            // Before looking, so that no end that comes in between is missed.
            drained.as_mut().enable();
            let late = Instant::now() >= deadline;
            // Looking and ending are one step: what is published before is delivered, what comes after
            // is refused.
            if let Some(left) = self.update(|state, _, effects| state.end(late, effects)) {
                break left;
            }
            // Late is not an error: the last look decides.
            let _ = timeout_at(deadline, drained).await;
        };
        if left > 0 {
            tracing::warn!(messages = left, "the broker was closed before all was delivered");
        }
        if let Some(clock) = lock(&self.clock).take() {
            clock.abort();
        }
        left
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(clock) = lock(&self.clock).take() {
            clock.abort();
        }
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Wakes the state whenever something in it is due.
async fn run_clock(shared: Weak<Shared>, alarm: Arc<Notify>) {
    loop {
        let next = match shared.upgrade() {
            Some(shared) => shared.update(|state, now, effects| state.tick(now, effects)),
            None => return,
        };
        match next {
            Some(at) => drop(timeout_at(at, alarm.notified()).await),
            None => alarm.notified().await,
        }
    }
}

#[cfg(test)]
mod tests;
