//! One subscription of another instance, as a member of its group here.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::inbox::ACCEPT_WAIT;
use super::line::MAX_ITEMS;
use crate::broker::memory::{Consumer, Group, Handout, MemoryBroker, Most, RUN_BYTES, Ring};
use crate::broker::{BrokerError, Subscribe, Verdict};

/// What one item of messages holds: enough to fill many packets, little enough to be sent at once. It ends
/// where a run does, if that is near.
const BATCH: Most = Most { messages: 1_024, bytes: 3 * RUN_BYTES / 2 };
/// Messages that an instance may leave without an answer; one with more is stuck, and is left. As many
/// as it takes.
const MAX_OUT: usize = MAX_ITEMS;

pub(super) struct Member {
    pub(super) to: Subscribe,
    /// Its place in the group; none while it rests, or when it has left.
    consumer: Option<Consumer>,
    group: Arc<Group>,
    /// Its number on the stream that is open.
    pub(super) number: Option<u32>,
    /// What was sent on the stream and is not answered: number in the group and attempt.
    out: Ring<Option<(u64, u32)>>,
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
            out: Ring::new(),
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
            self.give_back(&Verdict::Lost);
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
            return if self.out.len() == 0 { Taken::Gone } else { Taken::Nothing };
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
                batch.iter().for_each(|sent| self.out.push(Some((sent.seq, sent.attempt))));
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
        let Some(end) = first.checked_add(count.into()).filter(|end| *end <= self.out.next())
        else {
            return false;
        };
        // What was answered before is not there any more.
        let mut answered = Vec::with_capacity(self.out.len().min(count as usize));
        self.out.remove_range(first, end, |sent| answered.extend(sent));
        self.settle(answered, verdict);
        true
    }

    fn settle(&self, answered: Vec<(u64, u32)>, verdict: &Verdict) {
        let answered = answered.into_iter();
        match verdict {
            Verdict::Ack => self.group.acknowledge(answered.map(|(seq, _)| seq)),
            other => {
                let verdicts = answered.map(|(seq, attempt)| (seq, attempt, other.clone()));
                self.group.settle_all(verdicts);
            }
        }
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
    pub(super) fn give_back(&mut self, verdict: &Verdict) {
        let mut out = Vec::new();
        std::mem::replace(&mut self.out, Ring::new()).remove_range(0, u64::MAX, |s| out.extend(s));
        self.settle(out, verdict);
        self.number = None;
    }
}

/// The other side is given time to find a subscriber before the message counts as failed here.
fn join(memory: &MemoryBroker, to: &Subscribe) -> Result<Consumer, BrokerError> {
    memory.join(to, memory.limits().ack_wait + ACCEPT_WAIT, false)
}

/// How long an instance that left the registry may take to answer for what it has: it drains, or is
/// gone, and then its connection ends sooner.
pub(super) const GRACE: Duration = Duration::from_secs(5);
