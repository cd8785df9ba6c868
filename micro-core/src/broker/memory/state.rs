//! All queues of a broker, and which messages go to which.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::effects::{Dead, Effects};
use super::groups::Groups;
use super::limits::Limits;
use super::packed::{Packed, RUN_BYTES};
use super::queue::{Handout, Most, Queue};
use super::topics::Topics;
use crate::broker::{BrokerError, DEAD_REASON, Message, Subscribe, Verdict};
use crate::topic::{Pattern, Topic};

/// What a broker has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Deliveries that ended well.
    pub acknowledged: u64,
    /// Messages that could not be handled.
    pub dead_letters: u64,
    /// Dead letters that the memory of the broker, or a group that listens to them, had no room for.
    pub dead_letters_dropped: u64,
    /// Messages that a group had already.
    pub duplicates: u64,
    /// Groups that had messages and no member for too long.
    pub groups_dropped: u64,
    /// Messages that were dropped with their group.
    pub messages_dropped: u64,
    /// Messages that were accepted.
    pub published: u64,
    /// Deliveries that failed and came, or come, again.
    pub redelivered: u64,
}

pub(super) struct State {
    pub(super) stats: Stats,
    pub(super) dead_letters: VecDeque<Arc<Message>>,
    limits: Arc<Limits>,
    groups: Groups<Group>,
    /// Groups that are shared, by name; those of broadcasts have none.
    names: HashMap<(String, Pattern), u64>,
    topics: Topics<u64>,
    /// Messages so far, and the bytes of those since a run began.
    numbered: u64,
    run_bytes: usize,
    /// Members so far.
    joined: u64,
    owned: usize,
    phase: Phase,
    /// When the clock looks next.
    alarm: Option<Instant>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Phase {
    Open,
    /// Nobody joins any more; what is left is delivered.
    Closing,
    Closed,
}

struct Group {
    name: String,
    pattern: Pattern,
    broadcast: bool,
    queue: Queue,
    /// Since it has no members: when its messages are dropped.
    expires: Option<Instant>,
}

impl State {
    pub(super) fn new(limits: Arc<Limits>) -> Self {
        Self {
            stats: Stats::default(),
            dead_letters: VecDeque::new(),
            limits,
            groups: Groups::new(),
            names: HashMap::new(),
            topics: Topics::new(),
            numbered: 0,
            run_bytes: 0,
            joined: 0,
            owned: 0,
            phase: Phase::Open,
            alarm: None,
        }
    }

    /// Gives a message to every group that listens, or to none.
    pub(super) fn publish(
        &mut self,
        message: &Arc<Message>,
        now: Instant,
        effects: &mut Effects,
    ) -> Result<(), BrokerError> {
        if self.phase == Phase::Closed {
            return Err(BrokerError::Closed);
        }
        let mut packed = Packed::new(message.clone());
        let found = self.topics.find(&message.topic);
        for id in &found {
            let Some(group) = self.groups.get_mut(*id) else {
                continue;
            };
            if !group.queue.has_room(packed.cost) && !group.queue.knows(message) {
                return Err(BrokerError::Full { group: group.name.clone() });
            }
        }
        self.stats.published += 1;
        self.number(&mut packed);
        let packed = Arc::new(packed);
        for id in found {
            let Some(group) = self.groups.get_mut(id) else {
                continue;
            };
            if !group.queue.push(&packed, now, effects) {
                self.stats.duplicates += 1;
            }
        }
        Ok(())
    }

    /// Gives a message its place among all others.
    fn number(&mut self, packed: &mut Packed) {
        self.numbered += 1;
        self.run_bytes += packed.size;
        packed.number = self.numbered;
        packed.begins_run = self.run_bytes > RUN_BYTES;
        if packed.begins_run {
            self.run_bytes = packed.size;
        }
    }

    /// Joins or makes a group; the numbers of the queue and of the member.
    pub(super) fn join(
        &mut self,
        wanted: &Subscribe,
        ack_wait: Duration,
        owned: bool,
    ) -> Result<(u64, u64), BrokerError> {
        wanted.check()?;
        if self.phase != Phase::Open {
            return Err(BrokerError::Closed);
        }
        if owned && self.owned >= self.limits.subscriptions {
            return Err(BrokerError::TooManySubscriptions { limit: self.limits.subscriptions });
        }
        self.owned += usize::from(owned);
        let Subscribe { pattern, group: name, broadcast } = wanted.clone();
        self.joined += 1;
        let member = self.joined;
        let known = if broadcast { None } else { self.names.get(&(name.clone(), pattern.clone())) };
        let id = match known {
            Some(id) => *id,
            None => {
                let queue = Queue::new(self.limits.clone());
                let (name, pattern) = (name.clone(), pattern.clone());
                self.groups.insert(Group { name, pattern, broadcast, queue, expires: None })
            }
        };
        if known.is_none() {
            self.topics.insert(&pattern, id);
            if !broadcast {
                self.names.insert((name, pattern), id);
            }
        }
        if let Some(group) = self.groups.get_mut(id) {
            group.expires = None;
            group.queue.join(member, ack_wait, !owned);
        }
        Ok((id, member))
    }

    /// A member goes. The last one leaves the messages of its group behind, for a while.
    pub(super) fn leave(
        &mut self,
        id: u64,
        member: u64,
        owned: bool,
        now: Instant,
        effects: &mut Effects,
    ) {
        self.owned -= usize::from(owned);
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        group.queue.leave(member, now, effects);
        if group.queue.has_members() {
            return;
        }
        if group.broadcast {
            // Nobody else may have what was for this member.
            return self.forget(id, effects);
        }
        let at = now + self.limits.retention;
        group.expires = Some(at);
        effects.due(at);
    }

    /// Whether the queue is still there.
    pub(super) fn poll(
        &mut self,
        (id, member): (u64, u64),
        now: Instant,
        waker: &Waker,
        taken: (Most, &mut Vec<Handout>),
        effects: &mut Effects,
    ) -> bool {
        let Some(group) = self.groups.get_mut(id) else {
            return false;
        };
        group.queue.poll(member, now, waker, taken, effects);
        true
    }

    /// Hears what became of deliveries: of each its number, attempt and fate.
    pub(super) fn settle(
        &mut self,
        id: u64,
        verdicts: impl IntoIterator<Item = (u64, u32, Verdict)>,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        for (seq, attempt, verdict) in verdicts {
            group.queue.settle(seq, attempt, verdict, now, effects);
        }
        group.queue.serve(now, effects);
    }

    /// Hears that messages with these numbers were handled.
    pub(super) fn acknowledge(
        &mut self,
        id: u64,
        numbers: impl IntoIterator<Item = u64>,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        numbers.into_iter().for_each(|seq| group.queue.acknowledge(seq, effects));
        group.queue.serve(now, effects);
    }

    /// Does what is due; when there is more.
    pub(super) fn tick(&mut self, now: Instant, effects: &mut Effects) -> Option<Instant> {
        let mut expired = Vec::new();
        for (id, group) in self.groups.iter_mut() {
            group.queue.tick(now, effects);
            if group.expires.is_some_and(|at| at <= now) {
                expired.push(id);
            }
        }
        for id in expired {
            self.drop_group(id, effects);
        }
        self.bury(now, effects);
        let due =
            |group: &Group| [group.queue.next_due(), group.expires].into_iter().flatten().min();
        self.alarm = self.groups.values().filter_map(due).min();
        self.alarm
    }

    /// What follows from a change within the state itself; when it is finished the rest is for outside.
    pub(super) fn finish(&mut self, now: Instant, effects: &mut Effects) {
        self.bury(now, effects);
        self.stats.acknowledged += std::mem::take(&mut effects.acknowledged);
        self.stats.redelivered += std::mem::take(&mut effects.redelivered);
        if let Some(due) = effects.due
            && self.alarm.is_none_or(|alarm| due < alarm)
        {
            self.alarm = Some(due);
            effects.sooner = true;
        }
        effects.drained = self.phase == Phase::Closing && self.pending() == 0;
    }

    /// Begins to end: nobody joins any more, and what is left is delivered. That may cause more messages,
    /// which are still taken.
    pub(super) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
    }

    /// Ends everything if nothing is left or it is too late; how many messages were not acknowledged.
    pub(super) fn end(&mut self, late: bool, effects: &mut Effects) -> Option<usize> {
        let left = self.pending();
        if left > 0 && !late {
            return None;
        }
        self.phase = Phase::Closed;
        self.stats.messages_dropped += left as u64;
        self.names.clear();
        self.topics = Topics::new();
        for group in self.groups.drain() {
            effects.wake.extend(group.queue.into_waiting());
        }
        // Whoever waits for room hears that there never will be any.
        effects.room = true;
        Some(left)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.names.is_empty() && self.owned == 0
    }

    fn pending(&self) -> usize {
        self.groups.values().map(|group| group.queue.len()).sum()
    }

    /// Makes dead letters of what nobody could handle.
    fn bury(&mut self, now: Instant, effects: &mut Effects) {
        // Dead letters of dead letters are not published, so that this ends.
        for Dead { message, reason, attempts } in std::mem::take(&mut effects.dead) {
            let letter = Arc::new(message.dead(&reason, attempts));
            let (id, reason) = (message.id, letter.metadata.get(DEAD_REASON));
            tracing::warn!(topic = %message.topic, %id, attempts, reason, "dead letter");
            self.stats.dead_letters += 1;
            if self.dead_letters.len() >= self.limits.dead_letters {
                self.dead_letters.pop_front();
                self.stats.dead_letters_dropped += 1;
            }
            self.dead_letters.push_back(letter.clone());
            // A topic that is too long for a dead one is kept in memory only.
            if !message.is_dead() && Topic::parse(letter.topic.as_str()).is_ok() {
                self.deliver_dead(&letter, now, effects);
            }
        }
    }

    /// Nobody can wait for room here: a group without it goes without, and that is counted.
    fn deliver_dead(&mut self, letter: &Arc<Message>, now: Instant, effects: &mut Effects) {
        let mut packed = Packed::new(letter.clone());
        self.number(&mut packed);
        let packed = Arc::new(packed);
        for id in self.topics.find(&letter.topic) {
            let Some(group) = self.groups.get_mut(id) else {
                continue;
            };
            if group.queue.has_room(packed.cost) {
                group.queue.push(&packed, now, effects);
            } else {
                self.stats.dead_letters_dropped += 1;
                let group = &group.name;
                tracing::warn!(group, topic = %letter.topic, "no room for a dead letter");
            }
        }
    }

    fn drop_group(&mut self, id: u64, effects: &mut Effects) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let (messages, name) = (group.queue.len(), group.name.as_str());
        if messages > 0 {
            tracing::warn!(group = name, messages, "nobody came back to a group: it is dropped");
            self.stats.groups_dropped += 1;
            self.stats.messages_dropped += messages as u64;
        }
        self.forget(id, effects);
    }

    fn forget(&mut self, id: u64, effects: &mut Effects) {
        let Some(Group { name, pattern, broadcast, queue, .. }) = self.groups.remove(id) else {
            return;
        };
        self.topics.remove(&pattern, id);
        if !broadcast {
            self.names.remove(&(name, pattern));
        }
        effects.room |= queue.has_refused();
    }
}
