//! The queue of one group: who gets which message next. Plain data, no I/O and no clock of its own.
//!
//! Invariant: of all messages with one key exactly one is not [`Place::Behind`], and it is the oldest.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::effects::{Dead, Effects};
use super::limits::Limits;
use super::packed::Packed;
use super::recent::Recent;
use super::ring::Ring;
use crate::broker::{Message, Verdict};

pub(super) struct Queue {
    limits: Arc<Limits>,
    entries: Ring<Entry>,
    bytes: usize,
    /// What comes from here on was not looked at yet.
    fresh: u64,
    /// How many of those may be handed out now.
    fresh_ready: usize,
    /// What may be handed out now of the others, oldest first.
    again: BTreeSet<u64>,
    /// For each key with a message here: those behind its oldest.
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

impl Queue {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            entries: Ring::new(),
            bytes: 0,
            fresh: 0,
            fresh_ready: 0,
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
    pub(super) fn push(&mut self, message: &Arc<Packed>, now: Instant, effects: &mut Effects) {
        self.recent.insert(message.message.id);
        self.bytes += message.cost;
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
        self.entries.push(Entry { message: message.clone(), attempt: 0, place });
        if matches!(place, Place::Ready) {
            self.fresh_ready += 1;
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
        let (before, mut bytes) = (taken.len(), 0);
        while taken.len() - before < most.messages && bytes < most.bytes {
            let Some(handout) = self.take(i, now, effects) else { break };
            bytes += handout.message.cost;
            taken.push(handout);
        }
        let member = &mut self.members[i];
        if taken.len() > before {
            effects.retired.extend(member.waiting.take());
        } else if !member.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker)) {
            effects.retired.extend(member.waiting.replace(waker.clone()));
        }
    }

    /// One message for the member at this place.
    fn take(&mut self, i: usize, now: Instant, effects: &mut Effects) -> Option<Handout> {
        let member = &mut self.members[i];
        if let Some(seq) = member.given.take() {
            let Entry { message, attempt, .. } = self.entries.get(seq)?;
            return Some(Handout { seq, message: message.clone(), attempt: *attempt });
        }
        if member.out >= self.limits.window {
            return None;
        }
        let seq = self.next_ready()?;
        self.hand_out(seq, i, now, effects)
    }

    /// Hears what became of a delivery. [`Queue::serve`] follows, once for all that were settled.
    pub(super) fn settle(
        &mut self,
        seq: u64,
        attempt: u32,
        verdict: Verdict,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(entry) = self.entries.get(seq) else {
            return;
        };
        let current = matches!(entry.place, Place::Out { .. }) && entry.attempt == attempt;
        // A late acknowledgement counts: the message was handled, whoever has it now. Of other late
        // news the queue has known since the wait for the acknowledgement ended.
        if current || verdict == Verdict::Ack {
            self.settle_current(seq, verdict, now, effects);
        }
    }

    /// When [`Queue::tick`] has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.first().map(|(at, _)| *at);
        [delayed, self.sweep].into_iter().flatten().min()
    }

    /// Does what is due: delayed messages become ready, and waits for acknowledgements end.
    pub(super) fn tick(&mut self, now: Instant, effects: &mut Effects) {
        while let Some((at, seq)) = self.delayed.first().copied()
            && at <= now
        {
            self.lift(seq);
            self.make_ready(seq);
        }
        if self.sweep.is_some_and(|at| at <= now) {
            self.sweep(now, effects);
        }
        self.serve(now, effects);
    }

    /// Ends the waits for acknowledgements that are over, and finds out when the next one is.
    fn sweep(&mut self, now: Instant, effects: &mut Effects) {
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        for (seq, entry) in self.entries.until(self.fresh) {
            match entry.place {
                Place::Out { until, .. } if until <= now => late.push(seq),
                Place::Out { until, .. } => next = Some(next.map_or(until, |at| at.min(until))),
                Place::Behind | Place::Delayed(_) | Place::Ready => {}
            }
        }
        self.sweep = next;
        for seq in late {
            let unfetched = self.members.iter().any(|m| m.given == Some(seq));
            let verdict = if unfetched {
                Verdict::Released
            } else {
                Verdict::Nack("it was not acknowledged in time".into())
            };
            self.settle_current(seq, verdict, now, effects);
        }
    }

    fn settle_current(&mut self, seq: u64, verdict: Verdict, now: Instant, effects: &mut Effects) {
        let gone = self.lift(seq);
        let Some(entry) = self.entries.get_mut(seq) else {
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
            let message = entry.message.message.clone();
            // So that it can be published again once its cause is repaired.
            self.recent.remove(message.id);
            effects.dead.push(Dead { message, reason, attempts });
            return self.remove(seq, effects);
        }
        effects.redelivered += 1;
        if reason.is_none() {
            return self.make_ready(seq);
        }
        let at = now + self.limits.wait_after(attempts);
        entry.place = Place::Delayed(at);
        self.delayed.insert((at, seq));
        effects.due(at);
    }

    /// Takes a message from where it is; the caller puts it elsewhere. Whether its member is gone.
    fn lift(&mut self, seq: u64) -> bool {
        let Some(entry) = self.entries.get_mut(seq) else {
            return true;
        };
        let place = std::mem::replace(&mut entry.place, Place::Behind);
        match place {
            Place::Behind => {}
            Place::Delayed(at) => drop(self.delayed.remove(&(at, seq))),
            // What was handed out once is not fresh.
            Place::Ready => drop(self.again.remove(&seq)),
            Place::Out { member, .. } => {
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
        if let Some(entry) = self.entries.get_mut(seq) {
            entry.place = Place::Ready;
            if seq < self.fresh {
                self.again.insert(seq);
            } else {
                self.fresh_ready += 1;
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.fresh_ready > 0 || !self.again.is_empty()
    }

    /// The oldest message that may be handed out.
    fn next_ready(&mut self) -> Option<u64> {
        // Always older than what is fresh.
        if let Some(seq) = self.again.pop_first() {
            return Some(seq);
        }
        while self.fresh_ready > 0 {
            let seq = self.fresh;
            self.fresh += 1;
            if self.entries.get(seq).is_some_and(|entry| matches!(entry.place, Place::Ready)) {
                self.fresh_ready -= 1;
                return Some(seq);
            }
        }
        None
    }

    /// Ends a message that was lifted; the next one of its key comes forward.
    fn remove(&mut self, seq: u64, effects: &mut Effects) {
        let Some(entry) = self.entries.remove(seq) else {
            return;
        };
        self.bytes -= entry.message.cost;
        if let Some(key) = &entry.message.message.key {
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
    pub(super) fn serve(&mut self, now: Instant, effects: &mut Effects) {
        while self.is_ready() {
            let window = self.limits.window;
            let waiting = self.members.iter().enumerate();
            let waiting = waiting.filter(|(_, m)| m.waiting.is_some() && m.out < window);
            let Some((i, _)) = waiting.min_by_key(|(_, m)| (m.out, m.turn)) else {
                return;
            };
            let Some(seq) = self.next_ready() else {
                return;
            };
            let member = &mut self.members[i];
            effects.wake.extend(member.waiting.take());
            member.given = Some(seq);
            self.hand_out(seq, i, now, effects);
        }
    }

    fn hand_out(
        &mut self,
        seq: u64,
        i: usize,
        now: Instant,
        effects: &mut Effects,
    ) -> Option<Handout> {
        let entry = self.entries.get_mut(seq)?;
        let member = &mut self.members[i];
        self.turns += 1;
        member.turn = self.turns;
        member.out += 1;
        let until = now + member.ack_wait;
        entry.attempt += 1;
        entry.place = Place::Out { member: member.id, until };
        if self.sweep.is_none_or(|at| until < at) {
            self.sweep = Some(until);
            effects.due(until);
        }
        Some(Handout { seq, message: entry.message.clone(), attempt: entry.attempt })
    }
}

#[cfg(test)]
mod tests;
