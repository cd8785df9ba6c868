//! What a link knows of its instance: which of its subscriptions are members of which groups here, who of
//! them has messages to be sent, and what they have answered.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

use super::frame::Up;
use super::member::{GRACE, Member, Taken};
use super::{MAX_BRIDGES, MAX_PER_INSTANCE};
use crate::broker::memory::{Handout, MemoryBroker};
use crate::broker::{Subscribe, Verdict};
use crate::registry::Instance;
use crate::status::{Result, Status};

/// What is known about the instance.
pub(super) struct Book {
    instance: Arc<Instance>,
    members: BTreeMap<u64, Member>,
    /// Members so far.
    joined: u64,
    /// Which member has which number on the stream that is open.
    numbers: Vec<u64>,
    /// Who is asked first, in turn.
    turn: u64,
    /// The stream that is open takes no more: nothing is sent until there is another.
    finishing: bool,
    /// The instance is not there any more.
    left: bool,
    waiting: Option<Waker>,
}

/// Messages for one member.
pub(super) struct Batch {
    pub(super) member: u64,
    pub(super) messages: Vec<Handout>,
}

impl Book {
    pub(super) fn new(instance: Arc<Instance>) -> Self {
        Self {
            instance,
            members: BTreeMap::new(),
            joined: 0,
            numbers: Vec::new(),
            turn: 0,
            finishing: false,
            left: false,
            waiting: None,
        }
    }

    pub(super) fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// How many subscriptions are served.
    pub(super) fn len(&self) -> usize {
        self.staying().count()
    }

    /// Whether the instance is not there any more.
    pub(super) fn has_left(&self) -> bool {
        self.left
    }

    /// Whether it has left, and nothing is out.
    pub(super) fn is_done(&self) -> bool {
        self.left && self.members.is_empty()
    }

    /// What the record of the instance says now: who is new joins at once, as long as there is `room`.
    pub(super) fn update(
        &mut self,
        memory: &MemoryBroker,
        instance: Arc<Instance>,
        wanted: &[Subscribe],
        room: usize,
    ) {
        if self.instance.addresses != instance.addresses && !self.numbers.is_empty() {
            // The stream goes to the old place.
            self.finish();
        }
        self.instance = instance;
        let until = Instant::now() + GRACE;
        for member in self.members.values_mut().filter(|member| !wanted.contains(&member.to)) {
            member.leave(until);
        }
        for to in wanted {
            if self.staying().any(|member| member.to == *to) {
                continue;
            }
            if self.len() >= room {
                tracing::warn!(limit = MAX_BRIDGES, "too many subscriptions in the registry");
                break;
            }
            match Member::join(memory, to.clone()) {
                Ok(member) => {
                    self.joined += 1;
                    self.members.insert(self.joined, member);
                }
                Err(error) => tracing::warn!(%error, group = to.group, "cannot serve a subscriber"),
            }
        }
        self.wake();
    }

    /// The instance is not there any more; what is out may still be answered for a while.
    pub(super) fn leave(&mut self) {
        self.left = true;
        let until = Instant::now() + GRACE;
        self.members.values_mut().for_each(|member| member.leave(until));
        self.wake();
    }

    fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.leaving.is_none())
    }

    fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Messages for any member; none when nothing more should be sent on the stream that is open.
    pub(super) fn poll_next(
        &mut self,
        memory: &MemoryBroker,
        cx: &mut TaskContext<'_>,
        timer: &mut Timer,
    ) -> Poll<Result<Option<Batch>>> {
        loop {
            if self.finishing || self.left {
                return Poll::Ready(Ok(None));
            }
            let mut gone = Vec::new();
            let (after, before) = (self.turn + 1.., ..=self.turn);
            let keys = self.members.range(after).chain(self.members.range(before));
            for key in keys.map(|(key, _)| *key).collect::<Vec<_>>() {
                let Some(member) = self.members.get_mut(&key) else { continue };
                match member.poll_take(cx) {
                    Taken::Some(messages) => {
                        self.turn = key;
                        return Poll::Ready(Ok(Some(Batch { member: key, messages })));
                    }
                    Taken::Nothing => {}
                    Taken::Gone => gone.push(key),
                    Taken::Stuck => {
                        return Poll::Ready(Err(Status::unavailable("it does not answer")));
                    }
                }
            }
            gone.iter().for_each(|key| drop(self.members.remove(key)));
            if !self.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker())) {
                self.waiting = Some(cx.waker().clone());
            }
            let Some(due) = self.members.values().filter_map(Member::due).min() else {
                return Poll::Pending;
            };
            if timer.poll(due, cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            self.members.values_mut().for_each(|member| member.tick(memory, now));
        }
    }

    /// The number of a member on the stream; what it wants if that is new.
    pub(super) fn number(&mut self, key: u64) -> Result<(u32, Option<Subscribe>)> {
        let next = self.numbers.len() as u32;
        let Some(member) = self.members.get_mut(&key) else {
            return Err(Status::internal("a batch of nobody"));
        };
        if let Some(number) = member.number {
            return Ok((number, None));
        }
        if next as usize >= MAX_PER_INSTANCE {
            return Err(Status::unavailable("too many subscriptions on one stream"));
        }
        member.number = Some(next);
        self.numbers.push(key);
        Ok((next, Some(member.to.clone())))
    }

    /// The member with this number; none if it has left in the meantime and has nothing to hear.
    fn member(&mut self, number: u32) -> Result<Option<&mut Member>> {
        match self.numbers.get(number as usize) {
            Some(key) => Ok(self.members.get_mut(key).filter(|m| m.number == Some(number))),
            None => Err(Status::internal("the peer answers for a subscription without a number")),
        }
    }

    pub(super) fn hear(&mut self, item: Up) -> Result<()> {
        let broken = || Status::internal("the peer answered what it was not sent");
        match item {
            Up::Done { number, mut ranges } => {
                let Some(member) = self.member(number)? else { return Ok(()) };
                while let Some((first, count)) = ranges.next()? {
                    if !member.done(first, count) {
                        return Err(broken());
                    }
                }
            }
            Up::Failed { number, at, verdict } => {
                let Some(member) = self.member(number)? else { return Ok(()) };
                if !member.failed(at, verdict) {
                    return Err(broken());
                }
                // There may be a rest to end.
                self.wake();
            }
            Up::Closing => self.finish(),
            Up::Unknown => {}
        }
        Ok(())
    }

    /// Sends nothing more on the stream that is open. Others get what its members would get meanwhile.
    pub(super) fn finish(&mut self) {
        self.finishing = true;
        self.members.values_mut().for_each(Member::fail);
        self.wake();
    }

    /// After a stream: what nobody answered goes elsewhere, and members rest if it ended badly.
    pub(super) fn begin_anew(&mut self, verdict: &Verdict, failed: bool) {
        self.finishing = false;
        self.numbers.clear();
        for member in self.members.values_mut() {
            if failed {
                member.fail();
            }
            member.give_back(verdict);
        }
        if self.left {
            self.members.clear();
        }
    }
}

/// A timer that is set only when something is due, and again only when that changes.
#[derive(Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll(&mut self, due: Instant, cx: &mut TaskContext<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}
