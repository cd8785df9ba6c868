//! The way to one instance: a stream that is opened when there is something to send, carries everything
//! that the instance listens to, and brings back what became of it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::frame::{self, Up};
use super::inbox::ACCEPT_WAIT;
use super::member::{GRACE, Member, Taken};
use super::{Courier, MAX_PER_INSTANCE};
use crate::broker::memory::{Handout, MemoryBroker};
use crate::broker::{BrokerError, Subscribe, Verdict};
use crate::registry::Instance;
use crate::status::{Result, Status};
use crate::stream::{self, ItemSink, Items};
use crate::sync::lock;
use crate::tasks;

/// A stream ends before the longest life of a call, and the next one begins.
const LIFE: Duration = Duration::from_secs(3_000);

/// Ends when it is dropped.
pub(super) struct Link(Arc<Shared>);

struct Shared {
    courier: Arc<dyn Courier>,
    memory: MemoryBroker,
    book: Mutex<Book>,
}

/// What is known about the instance.
struct Book {
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
struct Batch {
    member: u64,
    messages: Vec<Handout>,
}

impl Link {
    pub(super) fn new(
        memory: MemoryBroker,
        courier: Arc<dyn Courier>,
        instance: Arc<Instance>,
    ) -> Self {
        let book = Book {
            instance,
            members: BTreeMap::new(),
            joined: 0,
            numbers: Vec::new(),
            turn: 0,
            finishing: false,
            left: false,
            waiting: None,
        };
        let shared = Arc::new(Shared { courier, memory, book: Mutex::new(book) });
        tasks::spawn(run(shared.clone()));
        Self(shared)
    }

    /// How many subscriptions it serves.
    pub(super) fn len(&self) -> usize {
        lock(&self.0.book).staying().count()
    }

    /// What the record of the instance says now: who is new joins at once, as long as there is `room`.
    pub(super) fn update(&self, instance: Arc<Instance>, wanted: &[Subscribe], room: usize) {
        let mut book = lock(&self.0.book);
        if book.instance.addresses != instance.addresses && !book.numbers.is_empty() {
            // The stream goes to the old place.
            book.finish();
        }
        book.instance = instance;
        let until = Instant::now() + GRACE;
        for member in book.members.values_mut().filter(|member| !wanted.contains(&member.to)) {
            member.leave(until);
        }
        for to in wanted {
            if book.staying().any(|member| member.to == *to) {
                continue;
            }
            if book.staying().count() >= room {
                tracing::warn!(
                    limit = super::MAX_BRIDGES,
                    "too many subscriptions in the registry"
                );
                break;
            }
            match self.join(to) {
                Ok(member) => {
                    book.joined += 1;
                    let key = book.joined;
                    book.members.insert(key, member);
                }
                Err(error) => tracing::warn!(%error, group = to.group, "cannot serve a subscriber"),
            }
        }
        book.wake();
    }

    fn join(&self, to: &Subscribe) -> Result<Member, BrokerError> {
        Member::join(&self.0.memory, to.clone())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut book = lock(&self.0.book);
        book.left = true;
        let until = Instant::now() + GRACE;
        book.members.values_mut().for_each(|member| member.leave(until));
        book.wake();
    }
}

async fn run(link: Arc<Shared>) {
    while let Some(first) = link.next().await {
        let instance = lock(&link.book).instance.clone();
        let (sink, outbound) = stream::items();
        let opened = tokio::select! {
            opened = link.courier.open(&instance, outbound) => opened,
            () = link.gone_for_long() => Err(Status::unavailable("the instance has left")),
        };
        let (status, verdict) = match opened {
            Ok(items) => (link.exchange(sink, items, first).await, Verdict::Lost),
            // Nothing was sent.
            Err(status) => (Err(status), Verdict::Released),
        };
        if let Err(status) = &status {
            let service = &instance.service;
            tracing::debug!(service, %status, "an instance cannot be given messages");
        }
        lock(&link.book).begin_anew(&verdict, status.is_err());
    }
}

impl Shared {
    /// Sends and hears until the stream ends.
    async fn exchange(&self, sink: ItemSink, items: Items, first: Batch) -> Result<()> {
        let mut sending = pin!(self.send(sink, first));
        let mut hearing = pin!(self.hear(items));
        tokio::select! {
            biased;
            heard = &mut hearing => {
                return heard.and(Err(Status::unavailable("it ended the stream")));
            }
            sent = &mut sending => sent?,
        }
        // Its half has ended: the rest is what the other side still owes.
        let wait = self.memory.limits().ack_wait + ACCEPT_WAIT;
        let rest = timeout(wait, &mut hearing);
        tokio::select! {
            heard = rest => heard.unwrap_or_else(|_| Err(Status::unavailable("no answer in time"))),
            () = self.gone_for_long() => Err(Status::unavailable("the instance has left")),
        }
    }

    /// Sends batches as they can be taken, until the stream should end.
    async fn send(&self, sink: ItemSink, first: Batch) -> Result<()> {
        let until = Instant::now() + LIFE;
        let mut batch = first;
        loop {
            let Batch { member, messages } = batch;
            let (number, new) = lock(&self.book).number(member)?;
            if let Some(to) = new {
                sink.send(frame::declare(number, &to)).await?;
            }
            for same in messages.chunk_by(|a, b| a.attempt == b.attempt) {
                sink.send(events(number, same).freeze()).await?;
            }
            batch = tokio::select! {
                biased;
                next = self.next_of_stream() => match next? {
                    Some(batch) => batch,
                    None => return Ok(()),
                },
                () = sleep_until(until) => {
                    lock(&self.book).finish();
                    return Ok(());
                }
            };
        }
    }

    /// Hears answers until the other side has no more.
    async fn hear(&self, mut items: Items) -> Result<()> {
        while let Some(item) = items.next().await {
            lock(&self.book).hear(Up::read(item?)?)?;
        }
        Ok(())
    }

    /// The next messages while no stream is open; none when the link has ended.
    async fn next(&self) -> Option<Batch> {
        let mut timer = Timer::default();
        poll_fn(|cx| {
            loop {
                let mut book = lock(&self.book);
                match book.poll_next(&self.memory, cx, &mut timer) {
                    Poll::Ready(Ok(Some(batch))) => return Poll::Ready(Some(batch)),
                    Poll::Ready(_) if book.left && book.members.is_empty() => {
                        return Poll::Ready(None);
                    }
                    // There is no stream that could be stuck, or should end.
                    Poll::Ready(_) => book.begin_anew(&Verdict::Lost, false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// The next messages for the stream that is open; none when it should end.
    async fn next_of_stream(&self) -> Result<Option<Batch>> {
        let mut timer = Timer::default();
        poll_fn(|cx| lock(&self.book).poll_next(&self.memory, cx, &mut timer)).await
    }

    /// Returns when the instance has left a while ago.
    async fn gone_for_long(&self) {
        loop {
            if lock(&self.book).left {
                return tokio::time::sleep(GRACE).await;
            }
            tokio::time::sleep(GRACE).await;
        }
    }
}

/// An item of messages that are all in the same attempt.
fn events(number: u32, messages: &[Handout]) -> BytesMut {
    let records = || messages.iter().map(|handout| handout.message.record(frame::record));
    let mut item =
        BytesMut::with_capacity(16 + records().map(|record| record.len()).sum::<usize>());
    frame::begin_events(&mut item, number, messages[0].attempt);
    records().for_each(|record| item.extend_from_slice(record));
    item
}

impl Book {
    fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.leaving.is_none())
    }

    fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Messages for any member; none when nothing more should be sent on the stream that is open.
    fn poll_next(
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
    fn number(&mut self, key: u64) -> Result<(u32, Option<Subscribe>)> {
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

    fn hear(&mut self, item: Up) -> Result<()> {
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
    fn finish(&mut self) {
        self.finishing = true;
        self.members.values_mut().for_each(Member::fail);
        self.wake();
    }

    /// After a stream: what nobody answered goes elsewhere, and members rest if it ended badly.
    fn begin_anew(&mut self, verdict: &Verdict, failed: bool) {
        self.finishing = false;
        self.numbers.clear();
        for member in self.members.values_mut() {
            if failed {
                member.fail();
            }
            member.give_back(verdict.clone());
        }
        if self.left {
            self.members.clear();
        }
    }
}

/// A timer that is set only when something is due, and again only when that changes.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll(&mut self, due: Instant, cx: &mut TaskContext<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}
