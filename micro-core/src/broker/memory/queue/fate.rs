//! What becomes of messages that were handed out: done, again at once, again later, or dead.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{Entry, Place, Queue};
use crate::broker::Verdict;
use crate::broker::memory::effects::{Dead, Effects};
use crate::broker::memory::limits::Limits;

impl Queue {
    /// Hears what became of a delivery. [`Queue::serve`] follows, once for all that were settled.
    pub(in crate::broker::memory) fn settle(
        &mut self,
        seq: u64,
        attempt: u32,
        verdict: Verdict,
        now: Instant,
        effects: &mut Effects,
    ) {
        if verdict == Verdict::Ack {
            return self.acknowledge(seq, effects);
        }
        let current =
            |entry: &Entry| matches!(entry.place, Place::Out { .. }) && entry.attempt == attempt;
        // Of late news the queue has known since the wait for the acknowledgement ended.
        if self.entries.get(seq).is_some_and(current) {
            self.settle_current(seq, verdict, now, effects);
        }
    }

    /// Hears that a message was handled. That may be late, and counts: whoever has it now.
    pub(in crate::broker::memory) fn acknowledge(&mut self, seq: u64, effects: &mut Effects) {
        let Some(entry) = self.entries.remove(seq) else {
            return;
        };
        self.leave_place(seq, entry.place, entry.message.size);
        effects.acknowledged += 1;
        self.removed(&entry, effects);
    }

    /// When [`Queue::tick`] has something to do.
    pub(in crate::broker::memory) fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.first().map(|(at, _)| *at);
        [delayed, self.sweep].into_iter().flatten().min()
    }

    /// Does what is due: delayed messages become ready, and waits for acknowledgements end.
    pub(in crate::broker::memory) fn tick(&mut self, now: Instant, effects: &mut Effects) {
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
        for (seq, entry) in self.entries.iter() {
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

    pub(super) fn settle_current(
        &mut self,
        seq: u64,
        verdict: Verdict,
        now: Instant,
        effects: &mut Effects,
    ) {
        let gone = self.lift(seq);
        let Some(entry) = self.entries.get_mut(seq) else {
            return;
        };
        let reason = match verdict {
            Verdict::Ack => return self.acknowledge(seq, effects),
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

    /// Takes an entry from where it is; the caller puts it elsewhere. Whether its member is gone.
    fn lift(&mut self, seq: u64) -> bool {
        let Some(entry) = self.entries.get_mut(seq) else {
            return true;
        };
        let place = std::mem::replace(&mut entry.place, Place::Behind);
        let size = entry.message.size;
        self.leave_place(seq, place, size)
    }

    /// Forgets that an entry of this size is at this place. Whether its member is gone.
    fn leave_place(&mut self, seq: u64, place: Place, size: usize) -> bool {
        match place {
            Place::Behind => {}
            Place::Delayed(at) => drop(self.delayed.remove(&(at, seq))),
            Place::Ready => drop(self.again.remove(&seq)),
            Place::Out { member, .. } => {
                let Some(member) = self.members.iter_mut().find(|m| m.id == member) else {
                    return true;
                };
                member.out -= 1;
                member.bytes -= size;
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
            self.again.insert(seq);
        }
    }

    /// Ends a message that was lifted.
    fn remove(&mut self, seq: u64, effects: &mut Effects) {
        if let Some(entry) = self.entries.remove(seq) {
            self.removed(&entry, effects);
        }
    }

    /// The next one of its key comes forward, and there may be room for those who wait for it.
    fn removed(&mut self, entry: &Entry, effects: &mut Effects) {
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
            && self.len() <= queue_messages - queue_messages.div_ceil(16)
            && self.bytes <= queue_bytes - queue_bytes.div_ceil(16)
        {
            self.refused = false;
            effects.room = true;
        }
    }
}
