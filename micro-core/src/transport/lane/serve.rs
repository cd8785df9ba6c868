//! The server's end of a connection: calls off the lane, each polled where it is read and moved to a
//! task of its own only if it must wait; and calls on streams of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::settings;
use super::outbox::{self, Flush, Outbox, STALL};
use super::stream::read_more;
use super::{Close, Link, Receiving, Sending};
use crate::call::{Kind, Outcome, Reply};
use crate::codec::{self, Encoding};
use crate::context::Peer;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::schema::ContractDocument;
use crate::status::{Executed, Result, Status};
use crate::tasks;
use crate::transport::{Arrived, Begun, Dispatch, LONGEST_CALL, MAX_MESSAGE, Rest, too_large};
use crate::wire::{
    Call, End, Frame, GoAway, Head, MAX_LANE_FRAME, OWN_STREAM, Route, Settings, Splitter,
    WireError, kind, put_reply,
};

mod known;
mod streams;
mod unread;
mod waiting;

pub(in crate::transport) use unread::All;

use known::{Known, Routes, watched};
use unread::{Answer, UNREAD};
use waiting::Waiters;

/// Calls of one client that may wait at the same time; more are refused, and may go elsewhere.
const WAITING: usize = 1_024;
/// Bytes of small replies that gather before they are handed to the writer, at the latest.
const REPLIES: usize = 256 << 10;
/// What is left of the buffer of more bytes of them is given back.
const KEEP: usize = 16 << 10;
/// The lane must be opened within this, and a frame on it that has begun must end.
const LANE: Duration = Duration::from_secs(2);

/// A connection that somebody made to us.
pub(in crate::transport) struct Served<L: Link> {
    link: L,
    peer: Arc<Peer>,
    dispatch: Arc<dyn Dispatch>,
    outbox: Outbox<L::Sending>,
    /// Calls of the lane that wait in tasks of their own.
    waiting: Waiters,
    /// Bytes of large replies that are on their way.
    unread: AtomicUsize,
    all: Arc<All>,
    read: Notify,
    calls: Taken,
    streams: Taken,
}

/// How many calls, or streams, were taken of this connection, and whether that is all.
#[derive(Default)]
struct Taken(AtomicU64);

impl Taken {
    /// Above any count.
    const CLOSED: u64 = 1 << 63;

    /// Counts one more, unless that was all.
    fn one_more(&self) -> bool {
        // What is added behind the end is read by nobody.
        self.0.fetch_add(1, Ordering::AcqRel) & Self::CLOSED == 0
    }

    /// Counts no more: how many there were.
    fn close(&self) -> u64 {
        self.0.fetch_or(Self::CLOSED, Ordering::AcqRel) & !Self::CLOSED
    }
}

impl<L: Link> Served<L> {
    pub(in crate::transport) fn new(
        link: L,
        peer: Arc<Peer>,
        dispatch: Arc<dyn Dispatch>,
        all: Arc<All>,
    ) -> Self {
        all.connections.fetch_add(1, Ordering::Relaxed);
        let outbox = Outbox::default();
        outbox.push(Flush::Soon, |out| settings().put(out));
        Self {
            link,
            peer,
            dispatch,
            outbox,
            waiting: Waiters::default(),
            unread: AtomicUsize::new(0),
            all,
            read: Notify::new(),
            calls: Taken::default(),
            streams: Taken::default(),
        }
    }

    /// Serves until the connection ends. Then the calls that still wait are cancelled.
    pub(in crate::transport) async fn run(self: Arc<Self>) {
        if let Err(error) = self.serve().await {
            tracing::warn!(peer = ?self.peer, %error, "closed a connection whose peer broke the protocol");
            self.link.close(Close::Protocol, &error.to_string());
        }
        self.outbox.close();
        self.waiting.close();
        self.link.closed().await;
    }

    /// Takes no more calls and says which was the last.
    pub(in crate::transport) fn go_away(&self) {
        let taken = GoAway { calls: self.calls.close(), streams: self.streams.close() };
        self.outbox.push(Flush::Soon, |out| Frame::GoAway(taken).put(out));
    }

    async fn serve(self: &Arc<Self>) -> Result<(), WireError> {
        let (mut send, receive) = match timeout(LANE, self.link.accept()).await {
            Ok(Ok(lane)) => lane,
            // The connection has ended by itself.
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(WireError::Invalid("no lane")),
        };
        send.hurry();
        let writer = Arc::clone(self);
        tasks::spawn(async move {
            if let Err(outbox::Unread) = writer.outbox.write(send).await {
                writer.link.close(Close::Protocol, "replies are not read");
            }
        });
        let streams = tasks::Owned::spawn(Arc::clone(self).accept_streams());
        let outcome = self.read_lane(receive).await;
        if outcome.is_ok() {
            // The lane has ended and so will the connection; streams go on until then.
            self.link.closed().await;
        }
        drop(streams);
        outcome
    }

    async fn read_lane(self: &Arc<Self>, mut receive: L::Receiving) -> Result<(), WireError> {
        let mut splitter = Splitter::new(MAX_LANE_FRAME);
        let mut routes = Routes::default();
        let mut replies = BytesMut::new();
        let mut begun = None;
        // As much as the last time, at once: to grow a buffer is to copy it.
        let mut usual = 0;
        loop {
            if !read(&mut receive, &mut splitter, begun).await? {
                return Ok(());
            }
            replies.reserve(usual);
            let mut whole = false;
            // Read once for each call: the end of one is the beginning of the next.
            let mut now = Instant::now();
            while let Some(frame) = splitter.next()? {
                match frame.first() {
                    // Most frames, and so without a detour.
                    Some(&kind::CALL) => {
                        self.call(Call::read(frame)?, &mut routes, &mut now, &mut replies)?;
                    }
                    _ => self.take(Frame::read(frame)?, &mut routes, &mut now, &mut replies)?,
                }
                whole = true;
                // One read may hold thousands of calls.
                if replies.len() >= REPLIES || self.unread.load(Ordering::Acquire) > UNREAD {
                    self.hand_over(&mut replies).await?;
                    now = Instant::now();
                }
            }
            begun = match splitter.is_partial() {
                true if whole => Some(Instant::now()),
                true => begun.or_else(|| Some(Instant::now())),
                false => None,
            };
            usual = replies.len();
            self.hand_over(&mut replies).await?;
            if usual > KEEP {
                replies = BytesMut::new();
            }
            // What one client sends without a pause must not keep this thread from the others.
            coop::consume_budget().await;
        }
    }

    /// Hands replies to the stream. A client that does not read its replies is not read from.
    async fn hand_over(&self, replies: &mut BytesMut) -> Result<(), WireError> {
        if !replies.is_empty() {
            self.outbox.push(Flush::Own, |out| out.unsplit(replies.split()));
            self.outbox.flush();
        }
        self.outbox.room().await;
        while self.unread.load(Ordering::Acquire) > UNREAD {
            let read = self.read.notified();
            tokio::pin!(read);
            // Registered before the second look, so that no wake-up is missed between the two.
            read.as_mut().enable();
            if self.unread.load(Ordering::Acquire) <= UNREAD {
                break;
            }
            timeout(STALL, read).await.map_err(|_| WireError::Invalid("replies are not read"))?;
        }
        Ok(())
    }

    fn take(
        self: &Arc<Self>,
        frame: Frame,
        routes: &mut Routes,
        now: &mut Instant,
        replies: &mut BytesMut,
    ) -> Result<(), WireError> {
        match frame {
            Frame::Call(call) => self.call(call, routes, now, replies)?,
            Frame::Cancel { id } => self.waiting.cancel(id),
            Frame::Route(route) => self.route(route, routes, replies)?,
            Frame::Settings(Settings { version, max_message: _ }) if version != 1 => {
                return Err(WireError::Invalid("version"));
            }
            Frame::Settings(_) | Frame::Unknown(_) => {}
            Frame::End(_)
            | Frame::Contract { .. }
            | Frame::GoAway(_)
            | Frame::Item(_)
            | Frame::Open(_)
            | Frame::Reply { .. } => return Err(WireError::Invalid("kind")),
        }
        Ok(())
    }

    /// Finds what the client is going to call, and says what is there if the client thinks otherwise.
    fn route(
        &self,
        route: Route,
        routes: &mut Routes,
        replies: &mut BytesMut,
    ) -> Result<(), WireError> {
        let Route { id, fingerprint, service, method } = route;
        let found = self.dispatch.resolve(&service, &method);
        let contract = found.as_ref().ok().and_then(|found| found.target.contract);
        if let Some(contract) = contract.filter(|_| fingerprint != 0) {
            let contract = ContractDocument::from(contract);
            if contract.fingerprint() != fingerprint
                && let Ok(contract) = codec::encode(Encoding::MessagePack, &contract)
                && contract.len() < OWN_STREAM
            {
                Frame::Contract { route: id, contract }.put(replies);
            }
        }
        match routes.insert(id, found) {
            true => Ok(()),
            false => Err(WireError::Invalid("route")),
        }
    }

    /// Runs one call of the lane: here if it is done at once, else in a task.
    fn call(
        self: &Arc<Self>,
        call: Call,
        routes: &mut Routes,
        now: &mut Instant,
        replies: &mut BytesMut,
    ) -> Result<(), WireError> {
        let Call { id, route, head, body } = call;
        let known = routes.find(route).ok_or(WireError::Invalid("route"))?;
        if !self.calls.one_more() {
            // Above the GOAWAY: the client knows that it did not run.
            return Ok(());
        }
        let correlation = head.correlation;
        let end = match self.begin(known, head, body, now) {
            Ok(Begun::Waits(rest)) => return self.wait(id, rest),
            Ok(Begun::Ended(outcome)) => end(correlation, outcome),
            Err(status) => end(correlation, Err(status)),
        };
        if end.size() < OWN_STREAM {
            put_reply(replies, id, &end);
            return Ok(());
        }
        self.send_apart(id, Answer::new(self, end))
    }

    /// Begins a call. `now` is when it begins, and becomes when it was left alone.
    fn begin(&self, known: &Known, head: Head, body: Bytes, now: &mut Instant) -> Result<Begun> {
        let route = match &known.route {
            Ok(route) => route,
            Err(status) => return Err(copy(status)),
        };
        if route.target.kind != Kind::Unary {
            let text = format!("{} streams; it is called on a stream of its own", route.target);
            return Err(Status::invalid_argument(text).with_executed(Executed::No));
        }
        if self.waiting.count() >= WAITING {
            return Err(Status::resource_exhausted("too many calls wait on this connection")
                .with_executed(Executed::No)
                .with_retry_after(Duration::from_millis(50)));
        }
        let call = arrived(&self.peer, head, body, *now)?;
        if known.cost.is_slow() {
            let (deadline, correlation) = (call.deadline, call.correlation);
            let run = watched(Arc::clone(&known.cost), self.dispatch.call(route, call));
            return Ok(Begun::Waits(Rest { run, deadline, correlation }));
        }
        let (began, nobody) = (*now, &mut TaskContext::from_waker(Waker::noop()));
        let begun = self.dispatch.begin(route, call, now, nobody);
        known.cost.took(*now - began);
        Ok(begun)
    }
}

impl<L: Link> Drop for Served<L> {
    fn drop(&mut self) {
        self.all.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads what there is of the lane, `false` at its end; a frame that began long ago must end now.
async fn read<R: Receiving>(
    receive: &mut R,
    splitter: &mut Splitter,
    begun: Option<Instant>,
) -> Result<bool, WireError> {
    let read = read_more(receive, splitter);
    let outcome = match begun {
        None => read.await,
        Some(begun) => {
            timeout_at(begun + LANE, read).await.map_err(|_| WireError::Invalid("half a frame"))?
        }
    };
    // An error here is the end of the connection, which has its own reason.
    Ok(outcome.unwrap_or(false))
}

fn arrived(peer: &Arc<Peer>, head: Head, body: Bytes, now: Instant) -> Result<Arrived> {
    let Head { encoding, repeated, time_left, correlation, metadata } = head;
    let encoding = Encoding::from_number(encoding).ok_or_else(|| {
        Status::invalid_argument(format!("unknown encoding {encoding}")).with_executed(Executed::No)
    })?;
    Ok(Arrived {
        peer: Arc::clone(peer),
        encoding,
        deadline: now + time_left.min(LONGEST_CALL),
        correlation: correlation.unwrap_or_else(Id::random),
        repeated,
        metadata,
        body,
        inbound: None,
        outbound: None,
    })
}

/// The end of a call, under its correlation id. A reply that is too large to send is an error instead.
fn end(correlation: Option<Id>, outcome: Outcome) -> End {
    let end = match outcome {
        Ok(Reply { metadata, body, items: _ }) => End { metadata, result: Ok(body) },
        Err(status) => End { metadata: Metadata::new(), result: Err(status) },
    };
    let End { metadata, result } = match end.size() {
        size if size <= MAX_MESSAGE => end,
        size => {
            let status = too_large(size).with_executed(Executed::Yes);
            End { metadata: Metadata::new(), result: Err(status) }
        }
    };
    let result = result.map_err(|status| match correlation {
        Some(id) => status.with_correlation(id),
        None => status,
    });
    End { metadata, result }
}

/// The status of a route that was not found, for each call of it.
fn copy(status: &Status) -> Status {
    Status::new(status.code(), status.message()).with_executed(status.executed())
}
