//! The queue of one group: who gets which message next. Plain data, no I/O and no clock of its own.
//!
//! Invariant: of all messages with one key exactly one is not [`Place::Behind`], and it is the oldest.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;
use super::recent::Recent;
use crate::broker::{Message, Verdict};

pub(super) struct Queue {
    limits: Arc<Limits>,
    /// By the order of publication.
    entries: HashMap<u64, Entry>,
    next: u64,
    bytes: usize,
    /// What may be handed out now, oldest first.
    ready: BTreeSet<u64>,
    /// For each key with a message here: those behind its oldest.
    keys: HashMap<String, VecDeque<u64>>,
    /// When something happens by itself: one entry for each message that is out or delayed.
    timers: BTreeSet<(Instant, u64)>,
    members: Vec<Member>,
    turns: u64,
    recent: Recent,
    /// Since when somebody was refused for lack of room: they wait to hear that there is some.
    refused: bool,
}

struct Entry {
    message: Arc<Message>,
    cost: usize,
    attempt: u32,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    /// Behind an older message of its key.
    Behind,
    /// It failed and waits for its next attempt.
    Delayed(Instant),
    /// A member has it.
    Out {
        member: u64,
        until: Instant,
    },
    Ready,
}

struct Member {
    id: u64,
    ack_wait: Duration,
    out: usize,
    /// It has asked for a message and there was none.
    waiting: Option<Waker>,
    /// What it was given while it waited and has not fetched yet.
    given: Option<u64>,
    /// When it was last given something, to take turns among equals.
    turn: u64,
}

/// A message that a member gets.
#[derive(Debug)]
pub(super) struct Handout {
    pub(super) seq: u64,
    pub(super) message: Arc<Message>,
    pub(super) attempt: u32,
}

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

impl Queue {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            entries: HashMap::new(),
            next: 0,
            bytes: 0,
            ready: BTreeSet::new(),
            keys: HashMap::new(),
            timers: BTreeSet::new(),
            members: Vec::new(),
            turns: 0,
            recent: Recent::new(limits.remembered),
            refused: false,
            limits,
        }
    }

    /// Messages that are not acknowledged yet.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether somebody waits for room.
    pub(super) fn has_refused(&self) -> bool {
        self.refused
    }

    /// Ends the queue: who waits for a message.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = Waker> {
        self.members.into_iter().filter_map(|member| member.waiting)
    }

    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether a message of this cost fits. If not, [`Effects::room`] says when to ask again.
    pub(super) fn has_room(&mut self, cost: usize) -> bool {
        let room = self.entries.len() < self.limits.queue_messages
            && self.bytes + cost <= self.limits.queue_bytes;
        self.refused |= !room;
        room
    }

    /// Whether the group has had this message already.
    pub(super) fn knows(&self, message: &Message) -> bool {
        self.recent.contains(message.id)
    }

    /// Takes a message that is not known and for which there is room.
    pub(super) fn push(
        &mut self,
        message: Arc<Message>,
        cost: usize,
        now: Instant,
        effects: &mut Effects,
    ) {
        let seq = self.next;
        self.next += 1;
        self.recent.insert(message.id);
        self.bytes += cost;
        let mut place = Place::Ready;
        if let Some(key) = &message.key {
            match self.keys.get_mut(key) {
                Some(behind) => {
                    behind.push_back(seq);
                    place = Place::Behind;
                }
                None => drop(self.keys.insert(key.clone(), VecDeque::new())),
            }
        }
        self.entries.insert(seq, Entry { message, cost, attempt: 0, place });
        if matches!(place, Place::Ready) {
            self.ready.insert(seq);
            self.serve(now, effects);
        }
    }

    pub(super) fn join(&mut self, member: u64, ack_wait: Duration) {
        self.turns += 1;
        let (out, waiting, given, turn) = (0, None, None, self.turns);
        self.members.push(Member { id: member, ack_wait, out, waiting, given, turn });
    }

    /// A member goes. What it was given and did not fetch goes back; what it has out is settled later.
    pub(super) fn leave(&mut self, member: u64, now: Instant, effects: &mut Effects) {
        let Some(i) = self.members.iter().position(|m| m.id == member) else {
            return;
        };
        if let Some(seq) = self.members[i].given {
            self.settle_current(seq, Verdict::Released, now, effects);
        }
        effects.retired.extend(self.members.swap_remove(i).waiting);
        self.serve(now, effects);
    }

    /// The next message for a member; without one it is woken when there is.
    pub(super) fn poll(
        &mut self,
        member: u64,
        now: Instant,
        waker: &Waker,
        effects: &mut Effects,
    ) -> Option<Handout> {
        let member = self.members.iter_mut().find(|m| m.id == member)?;
        if let Some(seq) = member.given.take() {
            let entry = self.entries.get(&seq)?;
            return Some(Handout { seq, message: entry.message.clone(), attempt: entry.attempt });
        }
        if member.out >= self.limits.window || self.ready.is_empty() {
            if !member.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker)) {
                effects.retired.extend(member.waiting.replace(waker.clone()));
            }
            return None;
        }
        effects.retired.extend(member.waiting.take());
        let seq = self.ready.pop_first()?;
        let id = member.id;
        self.hand_out(seq, id, now, effects)
    }

    /// Hears what became of a delivery.
    pub(super) fn settle(
        &mut self,
        seq: u64,
        attempt: u32,
        verdict: Verdict,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(entry) = self.entries.get(&seq) else {
            return;
        };
        let current = matches!(entry.place, Place::Out { .. }) && entry.attempt == attempt;
        // A late acknowledgement counts: the message was handled, whoever has it now. Of other late
        // news the queue has known since the wait for the acknowledgement ended.
        if current || verdict == Verdict::Ack {
            self.settle_current(seq, verdict, now, effects);
            self.serve(now, effects);
        }
    }

    /// When [`Queue::tick`] has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due: delayed messages become ready, and waits for acknowledgements end.
    pub(super) fn tick(&mut self, now: Instant, effects: &mut Effects) {
        while let Some((at, seq)) = self.timers.first().copied()
            && at <= now
        {
            let Some(entry) = self.entries.get(&seq) else {
                self.timers.pop_first();
                continue;
            };
            match entry.place {
                Place::Out { member, .. } => {
                    let unfetched =
                        self.members.iter().any(|m| m.id == member && m.given == Some(seq));
                    let verdict = if unfetched {
                        Verdict::Released
                    } else {
                        Verdict::Nack("it was not acknowledged in time".into())
                    };
                    self.settle_current(seq, verdict, now, effects);
                }
                _ => {
                    self.lift(seq);
                    self.make_ready(seq);
                }
            }
        }
        self.serve(now, effects);
    }

    fn settle_current(&mut self, seq: u64, verdict: Verdict, now: Instant, effects: &mut Effects) {
        let gone = self.lift(seq);
        let Some(entry) = self.entries.get_mut(&seq) else {
            return;
        };
        let reason = match verdict {
            Verdict::Ack => {
                effects.acknowledged += 1;
                return self.remove(seq, effects);
            }
            Verdict::Released => {
                entry.attempt = entry.attempt.saturating_sub(1);
                return self.make_ready(seq);
            }
            Verdict::Dropped if !gone => Some("it was dropped".to_owned()),
            Verdict::Nack(reason) => Some(reason),
            Verdict::Dropped | Verdict::Lost => None,
        };
        let attempts = entry.attempt;
        if attempts >= self.limits.attempts {
            let reason = reason.unwrap_or_else(|| "its handler vanished".into());
            effects.dead.push(Dead { message: entry.message.clone(), reason, attempts });
            // So that it can be published again once its cause is repaired.
            self.recent.remove(entry.message.id);
            return self.remove(seq, effects);
        }
        effects.redelivered += 1;
        if reason.is_none() {
            return self.make_ready(seq);
        }
        let at = now + self.limits.wait_after(attempts);
        entry.place = Place::Delayed(at);
        self.timers.insert((at, seq));
        effects.due(at);
    }

    /// Takes a message from where it is; the caller puts it elsewhere. Whether its member is gone.
    fn lift(&mut self, seq: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&seq) else {
            return true;
        };
        let place = std::mem::replace(&mut entry.place, Place::Behind);
        match place {
            Place::Behind => {}
            Place::Delayed(at) => drop(self.timers.remove(&(at, seq))),
            Place::Ready => drop(self.ready.remove(&seq)),
            Place::Out { member, until } => {
                self.timers.remove(&(until, seq));
                let Some(member) = self.members.iter_mut().find(|m| m.id == member) else {
                    return true;
                };
                member.out -= 1;
                if member.given == Some(seq) {
                    member.given = None;
                }
            }
        }
        false
    }

    fn make_ready(&mut self, seq: u64) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.place = Place::Ready;
            self.ready.insert(seq);
        }
    }

    /// Ends a message that was lifted; the next one of its key comes forward.
    fn remove(&mut self, seq: u64, effects: &mut Effects) {
        let Some(entry) = self.entries.remove(&seq) else {
            return;
        };
        self.bytes -= entry.cost;
        if let Some(key) = &entry.message.key {
            match self.keys.get_mut(key).and_then(VecDeque::pop_front) {
                Some(next) => self.make_ready(next),
                None => drop(self.keys.remove(key)),
            }
        }
        // Not at the first free place, or all who wait would be woken for each message.
        let Limits { queue_messages, queue_bytes, .. } = *self.limits;
        if self.refused
            && self.entries.len() <= queue_messages - queue_messages.div_ceil(16)
            && self.bytes <= queue_bytes - queue_bytes.div_ceil(16)
        {
            self.refused = false;
            effects.room = true;
        }
    }

    /// Gives what is ready to those who wait: least in hand first, then who waited longest.
    fn serve(&mut self, now: Instant, effects: &mut Effects) {
        while !self.ready.is_empty() {
            let window = self.limits.window;
            let waiting = self.members.iter_mut().filter(|m| m.waiting.is_some() && m.out < window);
            let Some(member) = waiting.min_by_key(|m| (m.out, m.turn)) else {
                return;
            };
            let Some(seq) = self.ready.pop_first() else {
                return;
            };
            effects.wake.extend(member.waiting.take());
            member.given = Some(seq);
            let id = member.id;
            self.hand_out(seq, id, now, effects);
        }
    }

    fn hand_out(
        &mut self,
        seq: u64,
        member: u64,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Handout> {
        let entry = self.entries.get_mut(&seq)?;
        let member = self.members.iter_mut().find(|m| m.id == member)?;
        self.turns += 1;
        member.turn = self.turns;
        member.out += 1;
        let until = now + member.ack_wait;
        entry.attempt += 1;
        entry.place = Place::Out { member: member.id, until };
        self.timers.insert((until, seq));
        effects.due(until);
        Some(Handout { seq, message: entry.message.clone(), attempt: entry.attempt })
    }
}

/// Bytes that a message takes, about: what it holds, and what holding it needs.
pub(super) fn cost(message: &Message) -> usize {
    let Message { id: _, topic, key, encoding: _, metadata, body } = message;
    let metadata: usize = metadata.iter().map(|(k, v)| k.len() + v.len() + 48).sum();
    256 + topic.as_str().len() + 2 * key.as_ref().map_or(0, String::len) + metadata + body.len()
}

#[cfg(test)]
mod tests;
