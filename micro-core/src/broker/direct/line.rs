//! One queue of messages that have arrived, for the members of a group in this process or for one
//! subscriber of a broadcast.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use slab::Slab;
use tokio::time::Instant;

use super::answers::Answers;
use super::inbox::ACCEPT_WAIT;
use crate::broker::memory::Recent;
use crate::broker::{Delivery, Message, Settle, Verdict};
use crate::id::Id;
use crate::sync::lock;

/// Messages from others that one subscription has here, handled or waiting: 16 publishers with a full
/// window. One more is given back, and its publisher tries again or elsewhere.
pub(super) const MAX_ITEMS: usize = 16 * 1024;
/// Bytes of their bodies, likewise.
const MAX_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Line(Mutex<State>);

struct State {
    /// Ids of what is here or was handled.
    recent: Recent,
    items: Slab<Item>,
    bytes: usize,
    /// Not taken yet, oldest first.
    waiting: VecDeque<usize>,
    /// Who reads, and wakes when something comes.
    readers: Vec<(u64, Option<Waker>)>,
}

struct Item {
    id: Id,
    size: usize,
    /// Until it is taken.
    message: Option<Arc<Message>>,
    attempt: u32,
    arrived: Instant,
    origin: Origin,
    /// Others that sent the same message meanwhile.
    others: Vec<Origin>,
}

/// Who wants to know what becomes of a message.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) answers: Arc<Answers>,
    pub(super) number: u32,
    pub(super) at: u64,
    /// Several subscribers must all have handled it.
    pub(super) joint: Option<Arc<Mutex<Joint>>>,
}

/// What became of a message that several subscribers get.
pub(super) struct Joint {
    pub(super) left: usize,
    pub(super) failure: Option<Verdict>,
}

/// Messages that nobody took, on their way back.
pub(super) struct Left(Vec<Item>);

impl Line {
    pub(super) fn new(remembered: usize) -> Self {
        Self(Mutex::new(State {
            recent: Recent::new(remembered),
            items: Slab::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            readers: Vec::new(),
        }))
    }

    pub(super) fn join(&self, reader: u64) {
        lock(&self.0).readers.push((reader, None));
    }

    /// A reader goes. The last one leaves the line, with what it had not taken.
    pub(super) fn leave(&self, reader: u64) -> Option<Left> {
        let mut state = lock(&self.0);
        let i = state.readers.iter().position(|(id, _)| *id == reader)?;
        let (_, waker) = state.readers.swap_remove(i);
        let left = state.readers.is_empty().then(|| {
            let waiting = std::mem::take(&mut state.waiting);
            Left(waiting.into_iter().map(|at| state.remove(at)).collect())
        });
        drop(state);
        drop(waker);
        left
    }

    /// Hands messages to the readers; whoever sent them hears from each of them what became of it.
    pub(super) fn offer(
        &self,
        messages: impl IntoIterator<Item = (Arc<Message>, Origin)>,
        attempt: u32,
        now: Instant,
    ) {
        let mut state = lock(&self.0);
        for (message, origin) in messages {
            state.offer(message, attempt, now, origin);
        }
        // All of them: one that does not come must not keep the others from it. They are few.
        let some = !state.waiting.is_empty();
        let wake: Vec<Waker> =
            state.readers.iter_mut().filter(|_| some).filter_map(|(_, w)| w.take()).collect();
        drop(state);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Gives back what nobody has taken for so long; when to look again.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.0);
        let mut left = Vec::new();
        let next = loop {
            let Some(oldest) = state.waiting.front().copied() else { break None };
            let until = state.items[oldest].arrived + ACCEPT_WAIT;
            if until > now {
                break Some(until);
            }
            state.waiting.pop_front();
            left.push(state.remove(oldest));
        };
        drop(state);
        Left(left).release();
        next
    }

    pub(super) fn poll_take(self: &Arc<Self>, reader: u64, cx: &TaskContext<'_>) -> Poll<Delivery> {
        let mut state = lock(&self.0);
        let State { items, waiting, readers, .. } = &mut *state;
        if let Some(at) = waiting.pop_front()
            && let Some(item) = items.get_mut(at)
            && let Some(message) = item.message.take()
        {
            let attempt = item.attempt;
            drop(state);
            return Poll::Ready(Delivery::numbered(message, attempt, self.clone(), at as u64));
        }
        let waiting = readers.iter_mut().find(|(id, _)| *id == reader);
        let old = waiting.and_then(|(_, waker)| waker.replace(cx.waker().clone()));
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Settle for Line {
    fn settle(&self, number: u64, _: u32, verdict: Verdict) {
        let mut state = lock(&self.0);
        let verdict = match verdict {
            Verdict::Dropped if state.readers.is_empty() => Verdict::Lost,
            verdict => verdict,
        };
        let item = match verdict {
            Verdict::Ack => state.finish(number as usize),
            _ => state.remove(number as usize),
        };
        drop(state);
        item.tell(verdict);
    }
}

impl State {
    fn offer(&mut self, message: Arc<Message>, attempt: u32, now: Instant, origin: Origin) {
        let known = !self.recent.insert(message.id);
        // What is sent again may be here although its id has left the window.
        if known || attempt > 1 {
            let same = |(_, item): &(usize, &mut Item)| item.id == message.id;
            if let Some((_, item)) = self.items.iter_mut().find(same) {
                // As often as a message is sent at most: once by each publisher.
                return match item.others.len() < MAX_ITEMS {
                    true => item.others.push(origin),
                    false => origin.tell(Verdict::Released),
                };
            }
        }
        match known {
            true => origin.tell(Verdict::Ack),
            false => self.take_in(message, attempt, now, origin),
        }
    }

    fn take_in(&mut self, message: Arc<Message>, attempt: u32, arrived: Instant, origin: Origin) {
        let fits = self.items.len() < MAX_ITEMS && self.bytes + message.body.len() <= MAX_BYTES;
        if self.readers.is_empty() || !fits {
            self.recent.remove(message.id);
            return origin.tell(Verdict::Released);
        }
        let (id, size, others) = (message.id, message.body.len(), Vec::new());
        self.bytes += size;
        let message = Some(message);
        let at = self.items.insert(Item { id, size, message, attempt, arrived, origin, others });
        self.waiting.push_back(at);
    }

    /// Takes out what was handled: it is not taken in again.
    fn finish(&mut self, at: usize) -> Item {
        let item = self.items.remove(at);
        self.bytes -= item.size;
        item
    }

    /// Takes out what was not.
    fn remove(&mut self, at: usize) -> Item {
        let item = self.finish(at);
        self.recent.remove(item.id);
        item
    }
}

impl Item {
    fn tell(self, verdict: Verdict) {
        for other in self.others {
            other.tell(verdict.clone());
        }
        self.origin.tell(verdict);
    }
}

impl Left {
    pub(super) fn release(self) {
        self.0.into_iter().for_each(|item| item.tell(Verdict::Released));
    }
}

impl Origin {
    pub(super) fn tell(self, verdict: Verdict) {
        let Self { answers, number, at, joint } = self;
        let Some(joint) = joint else {
            return answers.answer(number, at, verdict);
        };
        let mut joint = lock(&joint);
        joint.left -= 1;
        if verdict != Verdict::Ack {
            joint.failure.get_or_insert(verdict);
        }
        if joint.left == 0 {
            answers.answer(number, at, joint.failure.take().unwrap_or(Verdict::Ack));
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("items", &lock(&self.0).items.len()).finish_non_exhaustive()
    }
}
