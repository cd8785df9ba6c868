//! The way to one instance: a stream that is opened when there is something to send, carries everything
//! that the instance listens to, and brings back what became of it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep_until, timeout};

use super::Courier;
use super::book::{Batch, Book, Timer};
use super::frame::{self, Up};
use super::inbox::ACCEPT_WAIT;
use super::member::GRACE;
use crate::broker::memory::{Handout, MemoryBroker, Packed, Run};
use crate::broker::{Subscribe, Verdict};
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

impl Link {
    pub(super) fn new(
        memory: MemoryBroker,
        courier: Arc<dyn Courier>,
        instance: Arc<Instance>,
    ) -> Self {
        let book = Mutex::new(Book::new(instance));
        let shared = Arc::new(Shared { courier, memory, book });
        tasks::spawn(run(shared.clone()));
        Self(shared)
    }

    /// How many subscriptions it serves.
    pub(super) fn len(&self) -> usize {
        lock(&self.0.book).len()
    }

    /// What the record of the instance says now: who is new joins at once, as long as there is `room`.
    pub(super) fn update(&self, instance: Arc<Instance>, wanted: &[Subscribe], room: usize) {
        lock(&self.0.book).update(&self.0.memory, instance, wanted, room);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.0.book).leave();
    }
}

async fn run(link: Arc<Shared>) {
    while let Some(first) = link.next().await {
        let instance = lock(&link.book).instance().clone();
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
        let mut life = pin!(sleep_until(Instant::now() + LIFE));
        let mut batch = first;
        loop {
            let Batch { member, messages } = batch;
            let (number, new) = lock(&self.book).number(member)?;
            if let Some(to) = new {
                sink.send(frame::declare(number, &to)).await?;
            }
            for same in messages.chunk_by(|a, b| a.attempt == b.attempt) {
                sink.send(events(number, same)).await?;
            }
            batch = tokio::select! {
                biased;
                next = self.next_of_stream() => match next? {
                    Some(batch) => batch,
                    None => return Ok(()),
                },
                () = &mut life => {
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
                    Poll::Ready(_) if book.is_done() => {
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
            if lock(&self.book).has_left() {
                return tokio::time::sleep(GRACE).await;
            }
            tokio::time::sleep(GRACE).await;
        }
    }
}

/// An item of messages that are all in the same attempt. Most links send the same: it is made once.
fn events(number: u32, messages: &[Handout]) -> Bytes {
    let (first, count) = (&messages[0], messages.len());
    let neighbours = |pair: &[Handout]| pair[0].message.number + 1 == pair[1].message.number;
    if count > 1 && messages.windows(2).all(neighbours) {
        let run = Run { count, to: (number, first.attempt) };
        let make = || item(number, messages, |out, packed| frame::put_record(out, &packed.message));
        if let Some(batch) = first.message.batch(run, make) {
            return batch;
        }
    }
    item(number, messages, |out, packed| out.extend_from_slice(packed.record(frame::record)))
}

fn item(number: u32, messages: &[Handout], put: impl Fn(&mut BytesMut, &Packed)) -> Bytes {
    let size: usize = messages.iter().map(|handout| handout.message.size()).sum();
    let mut item = BytesMut::with_capacity(16 + size);
    frame::begin_events(&mut item, number, messages[0].attempt);
    messages.iter().for_each(|handout| put(&mut item, &handout.message));
    item.freeze()
}
