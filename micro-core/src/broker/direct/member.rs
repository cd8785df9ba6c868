//! One subscription of another instance, as a member of its group here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::inbox::ACCEPT_WAIT;
use crate::broker::memory::{Consumer, Group, Handout, MemoryBroker, Most};
use crate::broker::{BrokerError, Subscribe, Verdict};

/// What one item of messages holds: enough to fill many packets, little enough to be sent at once.
const BATCH: Most = Most { messages: 256, bytes: 64 * 1024 };
/// Messages that an instance may leave without an answer; one with more is stuck, and is left. As many
/// as it takes.
const MAX_OUT: usize = 1024;

pub(super) struct Member {
    pub(super) to: Subscribe,
    /// Its place in the group; none while it rests, or when it has left.
    consumer: Option<Consumer>,
    group: Arc<Group>,
    /// Its number on the stream that is open.
    pub(super) number: Option<u32>,
    /// What was sent and is not answered, from `first` on: number in the group and attempt.
    out: VecDeque<Option<(u64, u32)>>,
    first: u64,
    /// It could not be given messages: it gets none for a while.
    rest: Option<Instant>,
    /// How often that was, since it last answered.
    failures: u32,
    /// The instance does not want it any more: until when it may answer.
    pub(super) leaving: Option<Instant>,
}

/// What a member was found to be.
pub(super) enum Taken {
    /// It has messages.
    Some(Vec<Handout>),
    /// It has none.
    Nothing,
    /// It has left, or the broker was closed: it can go when it has answered.
    Gone,
    /// It does not answer.
    Stuck,
}

impl Member {
    /// Joins the group at once.
    pub(super) fn join(memory: &MemoryBroker, to: Subscribe) -> Result<Self, BrokerError> {
        let consumer = join(memory, &to)?;
        let group = consumer.group().clone();
        Ok(Self {
            to,
            consumer: Some(consumer),
            group,
            number: None,
            out: VecDeque::new(),
            first: 0,
            rest: None,
            failures: 0,
            leaving: None,
        })
    }

    /// Takes nothing more; what is out may still be answered for a while.
    pub(super) fn leave(&mut self, until: Instant) {
        self.consumer = None;
        self.rest = None;
        self.leaving.get_or_insert(until);
    }

    /// When it has something to do by itself.
    pub(super) fn due(&self) -> Option<Instant> {
        self.rest.or(self.leaving)
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, memory: &MemoryBroker, now: Instant) {
        if self.leaving.is_some_and(|at| at <= now) {
            self.give_back(Verdict::Lost);
        }
        if self.rest.is_none_or(|at| now < at) {
            return;
        }
        self.rest = None;
        if self.consumer.is_none() {
            // Closed, or there are too many: the registry's next word begins anew.
            match join(memory, &self.to) {
                Ok(consumer) => {
                    if !self.group.is(consumer.group()) {
                        // What is out went with the old one.
                        self.out.iter_mut().for_each(|out| *out = None);
                    }
                    self.group = consumer.group().clone();
                    self.consumer = Some(consumer);
                }
                Err(_) => self.leave(now),
            }
        }
    }

    /// Takes what is there.
    pub(super) fn poll_take(&mut self, cx: &TaskContext<'_>) -> Taken {
        if self.leaving.is_some() {
            return if self.out.is_empty() { Taken::Gone } else { Taken::Nothing };
        }
        let (None, Some(consumer)) = (self.rest, &self.consumer) else {
            return Taken::Nothing;
        };
        if self.out.len() >= MAX_OUT {
            return Taken::Stuck;
        }
        let mut batch = Vec::new();
        match consumer.poll_take(cx, BATCH, &mut batch) {
            Poll::Ready(true) => {
                self.out.extend(batch.iter().map(|handout| Some((handout.seq, handout.attempt))));
                Taken::Some(batch)
            }
            Poll::Ready(false) => {
                self.consumer = None;
                self.leaving = Some(Instant::now());
                Taken::Nothing
            }
            Poll::Pending => Taken::Nothing,
        }
    }

    /// Hears that messages were handled; false when they were never sent.
    pub(super) fn done(&mut self, first: u64, count: u32) -> bool {
        self.failures = 0;
        self.answered(first, count, &Verdict::Ack)
    }

    /// Hears that one was not; false when it was never sent.
    pub(super) fn failed(&mut self, at: u64, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Nack(_) => self.failures = 0,
            _ => self.fail(),
        }
        self.answered(at, 1, &verdict)
    }

    fn answered(&mut self, first: u64, count: u32, verdict: &Verdict) -> bool {
        let end = self.first + self.out.len() as u64;
        if first.checked_add(count.into()).is_none_or(|last| last > end) {
            return false;
        }
        let (offset, out) = (self.first, &mut self.out);
        // What was answered before is not there any more.
        let range = (first.max(offset) - offset) as usize..;
        let range = range.start..((first + u64::from(count)).max(offset) - offset) as usize;
        let answered = out.range_mut(range).filter_map(Option::take);
        self.group.settle_all(answered.map(|(seq, attempt)| (seq, attempt, verdict.clone())));
        while let Some(None) = self.out.front() {
            self.out.pop_front();
            self.first += 1;
        }
        true
    }

    /// It cannot be given messages: others get what it would get. A broadcast has no others.
    pub(super) fn fail(&mut self) {
        if self.rest.is_some() || self.leaving.is_some() {
            return;
        }
        self.failures += 1;
        self.rest = Some(Instant::now() + backoff(self.failures));
        if !self.to.broadcast {
            self.consumer = None;
        }
    }

    /// Ends what is out, before another stream begins.
    pub(super) fn give_back(&mut self, verdict: Verdict) {
        let out = std::mem::take(&mut self.out).into_iter().flatten();
        self.group.settle_all(out.map(|(seq, attempt)| (seq, attempt, verdict.clone())));
        (self.first, self.number) = (0, None);
    }
}

/// The other side is given time to find a subscriber before the message counts as failed here.
fn join(memory: &MemoryBroker, to: &Subscribe) -> Result<Consumer, BrokerError> {
    memory.join(to, memory.limits().ack_wait + ACCEPT_WAIT, false)
}

/// How long an instance that left the registry may take to answer for what it has: it drains, or is
/// gone, and then its connection ends sooner.
pub(super) const GRACE: Duration = Duration::from_secs(5);
