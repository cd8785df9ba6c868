//! What follows from a change of the state, gathered under its lock and done outside of it.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::broker::Message;

/// What follows from a change, to be done by the broker.
#[derive(Default)]
pub(super) struct Effects {
    /// To be woken outside of the lock.
    pub(super) wake: Vec<Waker>,
    /// To be dropped outside of the lock, since a waker may be the last that holds its task.
    pub(super) retired: Vec<Waker>,
    /// Messages that nobody could handle.
    pub(super) dead: Vec<Dead>,
    /// There is room again where somebody was refused.
    pub(super) room: bool,
    pub(super) redelivered: u64,
    pub(super) acknowledged: u64,
    /// When the first of the timers that were set is due.
    pub(super) due: Option<Instant>,
    /// The clock must look sooner than it would.
    pub(super) sooner: bool,
    /// Nothing is left to deliver.
    pub(super) drained: bool,
}

impl Effects {
    /// Something will be due.
    pub(super) fn due(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

pub(super) struct Dead {
    pub(super) message: Arc<Message>,
    pub(super) reason: String,
    pub(super) attempts: u32,
}
