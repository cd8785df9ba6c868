//! The queue of one group: who gets which message next. Plain data, no I/O and no clock of its own.
//!
//! A message that comes is one pointer at the end of `fresh`, whatever there are of them. It is looked at,
//! and gets an entry, when it is about to be handed out: what is written down of messages is about those
//! that are on their way.
//!
//! Invariant: of all entries with one key exactly one is not [`Place::Behind`], and it is the oldest.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::effects::Effects;
use super::limits::Limits;
use super::packed::{Packed, RUN_BYTES};
use super::recent::Recent;
use super::ring::Ring;
use crate::broker::{Message, Verdict};

mod fate;

pub(super) struct Queue {
    limits: Arc<Limits>,
    /// What was not looked at yet, younger than all that was.
    fresh: VecDeque<Arc<Packed>>,
    entries: Ring<Entry>,
    /// Of both.
    bytes: usize,
    /// Entries that may be handed out now, oldest first.
    again: BTreeSet<u64>,
    /// For each key with an entry: those behind its oldest.
    keys: HashMap<String, VecDeque<u64>>,
    /// When messages that failed become ready.
    delayed: BTreeSet<(Instant, u64)>,
    /// Not later than the first wait for an acknowledgement ends: then all that are out are looked at.
    sweep: Option<Instant>,
    members: Vec<Member>,
    turns: u64,
    recent: Recent,
    /// Since when somebody was refused for lack of room: they wait to hear that there is some.
    refused: bool,
}

struct Entry {
    message: Arc<Packed>,
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
    /// It takes many at a time.
    in_batches: bool,
    /// Messages that it has, and their size.
    out: usize,
    bytes: usize,
    /// It has asked for a message and there was none.
    waiting: Option<Waker>,
    /// What it was given while it waited and has not fetched yet.
    given: Option<u64>,
    /// When it was last given something, to take turns among equals.
    turn: u64,
}

/// A message that a member gets.
#[derive(Debug)]
pub(in crate::broker) struct Handout {
    pub(in crate::broker) seq: u64,
    pub(in crate::broker) message: Arc<Packed>,
    pub(in crate::broker) attempt: u32,
}

/// How much a member takes at a time.
#[derive(Clone, Copy, Debug)]
pub(in crate::broker) struct Most {
    pub(in crate::broker) messages: usize,
    /// The last message may go beyond.
    pub(in crate::broker) bytes: usize,
}

/// Bytes that one member has not acknowledged, as [`Limits::window`]; the last message may go beyond. Half
/// of it is two runs. With twice as much to a hundred members what is under way outgrows the caches.
const WINDOW_BYTES: usize = 256 * 1024;

impl Queue {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            fresh: VecDeque::new(),
            entries: Ring::new(),
            bytes: 0,
            again: BTreeSet::new(),
            keys: HashMap::new(),
            delayed: BTreeSet::new(),
            sweep: None,
            members: Vec::new(),
            turns: 0,
            recent: Recent::new(limits.remembered),
            refused: false,
            limits,
        }
    }

    /// Messages that are not acknowledged yet.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.entries.len()
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
        let room =
            self.len() < self.limits.queue_messages && self.bytes + cost <= self.limits.queue_bytes;
        self.refused |= !room;
        room
    }

    /// Whether the group has had this message already.
    pub(super) fn knows(&self, message: &Message) -> bool {
        self.recent.contains(message.id)
    }

    /// Takes a message for which there is room; false when the group has had it already.
    pub(super) fn push(
        &mut self,
        message: &Arc<Packed>,
        now: Instant,
        effects: &mut Effects,
    ) -> bool {
        if !self.recent.insert(message.message.id) {
            return false;
        }
        self.bytes += message.cost;
        self.fresh.push_back(message.clone());
        self.serve(now, effects);
        true
    }

    pub(super) fn join(&mut self, id: u64, ack_wait: Duration, in_batches: bool) {
        self.turns += 1;
        let (out, bytes, waiting, given, turn) = (0, 0, None, None, self.turns);
        let member = Member { id, ack_wait, in_batches, out, bytes, waiting, given, turn };
        self.members.push(member);
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

    /// The next messages for a member; without any it is woken when there are.
    pub(super) fn poll(
        &mut self,
        member: u64,
        now: Instant,
        waker: &Waker,
        (most, taken): (Most, &mut Vec<Handout>),
        effects: &mut Effects,
    ) {
        let Some(i) = self.members.iter().position(|m| m.id == member) else {
            return;
        };
        let before = taken.len();
        self.take(i, now, most, taken, effects);
        let member = &mut self.members[i];
        if taken.len() > before {
            effects.retired.extend(member.waiting.take());
        } else if !member.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker)) {
            effects.retired.extend(member.waiting.replace(waker.clone()));
        }
    }

    /// As much as there is for the member at this place, within its window.
    fn take(
        &mut self,
        i: usize,
        now: Instant,
        most: Most,
        taken: &mut Vec<Handout>,
        effects: &mut Effects,
    ) {
        let (mut left, mut bytes) = (most.messages, 0);
        let given = self.members[i].given.take();
        if let Some((seq, entry)) = given.and_then(|seq| Some((seq, self.entries.get(seq)?))) {
            (left, bytes) = (left.saturating_sub(1), entry.message.size);
            taken.push(entry.handout(seq));
        }
        let member = &self.members[i];
        // What was given was the beginning of a batch.
        if given.is_none() && !member.has_room(&self.limits) {
            return;
        }
        left = left.min(self.limits.window.saturating_sub(member.out));
        let most = most.bytes.min(bytes + WINDOW_BYTES.saturating_sub(member.bytes));
        let until = now + member.ack_wait;
        taken.reserve(left.min(self.fresh.len() + self.again.len()));
        while left > 0 && bytes < most && !(bytes > RUN_BYTES / 2 && self.at_a_run()) {
            let Some((seq, entry)) = self.hand_out(i, until, effects) else { return };
            (left, bytes) = (left - 1, bytes + entry.message.size);
            taken.push(entry.handout(seq));
        }
    }

    /// Gives what is ready to those who wait: least in hand first, then who waited longest.
    pub(super) fn serve(&mut self, now: Instant, effects: &mut Effects) {
        while !(self.fresh.is_empty() && self.again.is_empty()) {
            let waiting = self.members.iter().enumerate();
            let waiting = waiting.filter(|(_, m)| m.waiting.is_some() && m.has_room(&self.limits));
            let Some((i, _)) = waiting.min_by_key(|(_, m)| (m.out, m.turn)) else {
                return;
            };
            let until = now + self.members[i].ack_wait;
            let Some((seq, _)) = self.hand_out(i, until, effects) else {
                return;
            };
            let member = &mut self.members[i];
            effects.wake.extend(member.waiting.take());
            member.given = Some(seq);
        }
    }

    /// Whether a run begins here.
    fn at_a_run(&self) -> bool {
        self.again.is_empty() && self.fresh.front().is_some_and(|next| next.begins_run)
    }

    /// Hands the oldest message that may be handed out to the member at this place, who may take until
    /// then to acknowledge it.
    fn hand_out(
        &mut self,
        i: usize,
        until: Instant,
        effects: &mut Effects,
    ) -> Option<(u64, &Entry)> {
        let seq = self.next_ready()?;
        let entry = self.entries.get_mut(seq)?;
        let member = &mut self.members[i];
        self.turns += 1;
        member.turn = self.turns;
        member.out += 1;
        member.bytes += entry.message.size;
        entry.attempt += 1;
        entry.place = Place::Out { member: member.id, until };
        if self.sweep.is_none_or(|at| until < at) {
            self.sweep = Some(until);
            effects.due(until);
        }
        Some((seq, entry))
    }

    /// The oldest message that may be handed out, to be put elsewhere by the caller.
    fn next_ready(&mut self) -> Option<u64> {
        // Always older than what is fresh.
        if let Some(seq) = self.again.pop_first() {
            return Some(seq);
        }
        while let Some(message) = self.fresh.pop_front() {
            let seq = self.entries.next();
            let mut place = Place::Ready;
            if let Some(key) = &message.message.key {
                match self.keys.get_mut(key) {
                    Some(behind) => {
                        behind.push_back(seq);
                        place = Place::Behind;
                    }
                    None => drop(self.keys.insert(key.clone(), VecDeque::new())),
                }
            }
            self.entries.push(Entry { message, attempt: 0, place });
            if matches!(place, Place::Ready) {
                return Some(seq);
            }
        }
        None
    }
}

impl Member {
    /// Whether it may have more. Who takes batches waits until half of its window is free: one for each
    /// message that it acknowledges would be batches of one for ever after.
    fn has_room(&self, limits: &Limits) -> bool {
        let parts = if self.in_batches { 2 } else { 1 };
        self.out < limits.window.div_ceil(parts) && self.bytes < WINDOW_BYTES / parts
    }
}

impl Entry {
    fn handout(&self, seq: u64) -> Handout {
        Handout { seq, message: self.message.clone(), attempt: self.attempt }
    }
}

#[cfg(test)]
mod tests;
