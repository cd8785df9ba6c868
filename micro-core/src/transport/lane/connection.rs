//! The client's end of a connection: many callers share one lane.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::calls::Calls;
use super::outbox::{self, Flush, Outbox, Pushed};
use super::routes::Number;
use super::stream::{self, FrameError, read_more};
use super::{Close, Link, Sending, lost};
use crate::call::{BoxFuture, Outcome, Target};
use crate::context::Peer;
use crate::status::{Executed, Result, Status};
use crate::stream::{Items, Outbound};
use crate::sync::lock;
use crate::tasks;
use crate::transport::{Calling, Connection, MAX_MESSAGE, Request, Slots};
use crate::wire::{
    Frame, GoAway, HeadRef, OWN_STREAM, Settings, Splitter, WireError, kind, put_call, read_reply,
};

/// Calls that are late end within this; many deadlines close to each other are one sweep.
const SWEEP: Duration = Duration::from_millis(1);

/// A connection to one instance.
pub(in crate::transport) struct LaneConnection<L: Link>(Arc<Shared<L>>);

/// What the connection, its calls and its reader share.
pub(super) struct Shared<L: Link> {
    pub(super) link: L,
    peer: Arc<Peer>,
    outbox: Outbox<L::Sending>,
    calls: Mutex<Calls>,
    /// Takes no more calls: the peer drains, or the connection is lost.
    draining: AtomicBool,
    /// The sweep must come earlier than it thinks.
    earlier: Notify,
}

impl<L: Link> LaneConnection<L> {
    /// Opens the lane.
    pub(in crate::transport) async fn start(link: L, peer: Arc<Peer>) -> Result<Self> {
        let shared = Arc::new(Shared {
            link,
            peer,
            outbox: Outbox::default(),
            calls: Mutex::default(),
            draining: AtomicBool::new(false),
            earlier: Notify::new(),
        });
        let (mut send, receive) =
            shared.link.open().await.map_err(|_| shared.gone(Executed::No))?;
        // Small calls go before whatever fills the connection.
        send.hurry();
        shared.outbox.push(Flush::Soon, |out| settings().put(out));
        let writer = Arc::clone(&shared);
        tasks::spawn(async move {
            if let Err(outbox::Unread) = writer.outbox.write(send).await {
                writer.link.close(Close::Protocol, "calls are not read");
            }
        });
        let reader = Arc::clone(&shared);
        tasks::spawn(async move { reader.read(receive).await });
        let rest = Arc::clone(&shared);
        // Apart from the reader, which is polled for every reply.
        tasks::spawn(async move {
            tokio::join!(rest.read_large(), rest.sweep());
        });
        Ok(Self(shared))
    }
}

/// The first frame of each side.
pub(super) fn settings() -> Frame {
    Frame::Settings(Settings { version: 1, max_message: MAX_MESSAGE as u32 })
}

impl<L: Link> Connection for LaneConnection<L> {
    fn peer(&self) -> &Arc<Peer> {
        &self.0.peer
    }

    fn call_for(&self, request: &Request, waker: Option<&Waker>) -> Calling {
        match self.0.send(request, request.time_left_at_first(), waker) {
            Ok(Sent::Slot(id)) => Calling::slot(Arc::clone(&self.0) as Arc<dyn Slots>, id),
            Ok(Sent::Full) => {
                let (shared, sent) = (Arc::clone(&self.0), request.clone());
                Calling::future(request, async move { shared.send_later(sent).await })
            }
            Ok(Sent::Apart) => {
                let (shared, sent) = (Arc::clone(&self.0), request.clone());
                Calling::future(request, async move { stream::unary(&shared, sent).await })
            }
            Err(status) => Calling::ended(Err(status)),
        }
    }

    fn open(&self, request: Request, outbound: Option<Outbound>) -> BoxFuture<'_, Result<Items>> {
        Box::pin(stream::open(&self.0, request, outbound))
    }

    fn is_open(&self) -> bool {
        !self.0.draining.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.0.drain();
    }
}

impl<L: Link> Drop for LaneConnection<L> {
    fn drop(&mut self) {
        self.0.drain();
    }
}

/// What became of a small call.
enum Sent {
    /// It is on the lane.
    Slot(u64),
    /// There is no room on the lane now.
    Full,
    /// It belongs on a stream of its own.
    Apart,
}

impl<L: Link> Shared<L> {
    /// Puts a call on the lane, after its route if that is new.
    fn send(&self, request: &Request, time_left: Duration, waker: Option<&Waker>) -> Result<Sent> {
        if request.body.len() >= OWN_STREAM {
            return Ok(Sent::Apart);
        }
        if time_left.is_zero() {
            return Err(request.late().with_executed(Executed::No));
        }
        let mut calls = lock(&self.calls);
        if calls.closed || self.draining.load(Ordering::Acquire) {
            return Err(self.gone(Executed::No));
        }
        let route = match calls.routes.find(&request.target) {
            Number::Known(route) => route,
            Number::New(_) => match self.announce(&mut calls, &request.target) {
                Pushed::Yes(route) => route,
                Pushed::Full => return Ok(Sent::Full),
                Pushed::Closed => return Err(self.gone(Executed::No)),
            },
            Number::Misfit(route) => return Err(calls.routes.misfit(route)),
            Number::Names => return Ok(Sent::Apart),
        };
        let id = calls.next_id();
        let head = head(request, time_left);
        // With others under way there will be more to write soon; alone, a call need not wait for it.
        let flush = if calls.waiting() == 0 { Flush::Own } else { Flush::Soon };
        match self.outbox.try_push(flush, |out| put_call(out, id, route, head, &request.body)) {
            Pushed::Yes(()) => {}
            Pushed::Full => return Ok(Sent::Full),
            Pushed::Closed => return Err(self.gone(Executed::No)),
        }
        if calls.sent(route, request.deadline, waker.cloned()) {
            self.earlier.notify_one();
        }
        drop(calls);
        if flush == Flush::Own {
            self.outbox.flush();
        }
        Ok(Sent::Slot(id))
    }

    /// Tells the server what is going to be called.
    fn announce(&self, calls: &mut Calls, target: &Target) -> Pushed<u32> {
        self.outbox.try_push(Flush::Soon, |out| {
            let route = calls.routes.announce(target);
            let id = route.id;
            Frame::Route(route).put(out);
            id
        })
    }

    /// Waits for room on the lane.
    async fn send_later(self: Arc<Self>, request: Request) -> Outcome {
        loop {
            self.outbox.room().await;
            match self.send(&request, request.time_left(), None)? {
                Sent::Slot(id) => return Calling::slot(self, id).await,
                Sent::Full => {}
                Sent::Apart => return stream::unary(&self, request).await,
            }
        }
    }

    /// Reads replies until the connection ends; then nobody waits any more.
    async fn read(self: Arc<Self>, mut receive: L::Receiving) {
        if let Err(error) = self.read_lane(&mut receive).await {
            self.link.close(Close::Protocol, &error.to_string());
            tracing::warn!(peer = ?self.peer, %error, "closed a connection whose peer broke the protocol");
        }
        self.outbox.close();
        // Large replies may still come, each on a stream of its own.
        self.drain();
        self.link.closed().await;
        let mut wakers = Vec::new();
        {
            let mut calls = lock(&self.calls);
            calls.closed = true;
            calls.end_above(0, || self.gone(Executed::Maybe), &mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
        self.earlier.notify_one();
    }

    async fn read_lane(&self, receive: &mut L::Receiving) -> Result<(), WireError> {
        let mut splitter = Splitter::new(L::MAX_LANE_FRAME);
        let mut wakers = Vec::new();
        // An error here is the end of the connection, which has its own reason.
        while let Ok(true) = read_more(receive, &mut splitter).await {
            {
                let mut calls = lock(&self.calls);
                while let Some(frame) = splitter.next()? {
                    match frame.first() {
                        // Most frames, and so without a detour.
                        Some(&kind::REPLY) => {
                            let (id, end) = read_reply(frame)?;
                            calls.end(id, end.into_outcome(), &mut wakers);
                        }
                        _ => self.take(Frame::read(frame)?, &mut calls, &mut wakers)?,
                    }
                }
            }
            wakers.drain(..).for_each(Waker::wake);
            self.close_if_idle();
        }
        Ok(())
    }

    fn take(
        &self,
        frame: Frame,
        calls: &mut Calls,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), WireError> {
        match frame {
            Frame::Reply { id, end } => calls.end(id, end.into_outcome(), wakers),
            Frame::GoAway(GoAway { calls: taken, streams: _ }) => {
                self.draining.store(true, Ordering::Release);
                calls.end_above(taken, || self.gone(Executed::No), wakers);
            }
            Frame::Settings(Settings { version, max_message: _ }) if version != 1 => {
                return Err(WireError::Invalid("version"));
            }
            Frame::Contract { route, contract } => {
                if let Some(differs) = calls.routes.compare(route, &contract) {
                    tracing::warn!(peer = ?self.peer, differs, "the server was built from another contract");
                }
            }
            Frame::Settings(_) | Frame::Unknown(_) => {}
            Frame::Call(_)
            | Frame::Cancel { .. }
            | Frame::End(_)
            | Frame::Item(_)
            | Frame::Open(_)
            | Frame::Route(_) => return Err(WireError::Invalid("kind")),
        }
        Ok(())
    }

    /// Replies too large for the lane come on streams of their own.
    async fn read_large(self: &Arc<Self>) {
        while let Ok(mut receive) = self.link.accept_reply().await {
            let shared = Arc::clone(self);
            tasks::spawn(async move {
                match stream::frame(&mut receive, &mut stream::splitter()).await {
                    Ok(Some(Frame::Reply { id, end })) => {
                        let mut wakers = Vec::new();
                        lock(&shared.calls).end(id, end.into_outcome(), &mut wakers);
                        wakers.into_iter().for_each(Waker::wake);
                        shared.close_if_idle();
                    }
                    // The call was cancelled in the middle of its reply.
                    Err(FrameError::Cut | FrameError::Refused) => {}
                    Ok(_) | Err(FrameError::Wire(_)) => {
                        shared.link.close(Close::Protocol, "not a reply");
                    }
                }
            });
        }
    }

    /// Ends calls at their deadlines: one timer for all of them, and none while nobody waits.
    async fn sweep(&self) {
        loop {
            let (next, closed) = {
                let calls = lock(&self.calls);
                (calls.next_sweep(), calls.closed)
            };
            match next {
                _ if closed => return,
                None => self.earlier.notified().await,
                Some(next) => tokio::select! {
                    () = sleep_until(next) => self.end_late_calls(),
                    () = self.earlier.notified() => continue,
                },
            }
            tokio::time::sleep(SWEEP).await;
        }
    }

    fn end_late_calls(&self) {
        let mut wakers = Vec::new();
        let late = lock(&self.calls).sweep(Instant::now(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        // The server ends them by itself, but may hear of it sooner so.
        self.outbox.push(Flush::Soon, |out| {
            late.iter().for_each(|id| Frame::Cancel { id: *id }.put(out));
        });
        self.close_if_idle();
    }

    /// Takes no more calls, and closes when the last one has ended.
    fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.close_if_idle();
    }

    /// A drained connection is closed by its client: what the server sent last would be lost otherwise.
    fn close_if_idle(&self) {
        if self.draining.load(Ordering::Acquire) && lock(&self.calls).is_idle() {
            self.link.close(Close::Done, "done");
        }
    }

    /// Counts a stream in; an error when the connection takes no more calls, or none of this kind.
    pub(super) fn stream(self: &Arc<Self>, target: &Target) -> Result<StreamGuard<L>> {
        let mut calls = lock(&self.calls);
        if calls.closed || self.draining.load(Ordering::Acquire) {
            return Err(self.gone(Executed::No));
        }
        match calls.routes.find(target) {
            // Not needed to open the stream, but for the contracts to be compared.
            Number::New(_) => drop(self.announce(&mut calls, target)),
            Number::Misfit(route) => return Err(calls.routes.misfit(route)),
            Number::Known(_) | Number::Names => {}
        }
        calls.streams += 1;
        Ok(StreamGuard(Arc::clone(self)))
    }

    /// The status of a call on a connection that is gone.
    pub(super) fn gone(&self, executed: Executed) -> Status {
        let service = self.peer.service.as_deref().unwrap_or("the peer");
        match self.link.ended() {
            // In TLS 1.3 a server hears last who calls; until it agrees, no call has run.
            Some(ended) if ended.is_refusal => lost(service, &ended.text, Executed::No),
            Some(ended) => lost(service, &ended.text, executed),
            None if executed == Executed::No => {
                lost(service, "the peer takes no more calls", executed)
            }
            None => lost(service, "the peer cut the call", executed),
        }
    }
}

impl<L: Link> Slots for Shared<L> {
    fn poll_outcome(&self, id: u64, cx: &mut TaskContext<'_>) -> Poll<Outcome> {
        lock(&self.calls).poll(id, cx)
    }

    fn cancel(&self, id: u64) {
        let is_under_way = lock(&self.calls).cancel(id);
        if is_under_way {
            self.outbox.push(Flush::Soon, |out| Frame::Cancel { id }.put(out));
        }
        self.close_if_idle();
    }
}

/// Keeps a draining connection open while a stream is under way.
pub(super) struct StreamGuard<L: Link>(Arc<Shared<L>>);

impl<L: Link> Drop for StreamGuard<L> {
    fn drop(&mut self) {
        lock(&self.0.calls).streams -= 1;
        self.0.close_if_idle();
    }
}

pub(super) fn head(request: &Request, time_left: Duration) -> HeadRef<'_> {
    HeadRef {
        encoding: request.encoding as u8,
        repeated: request.repeated,
        time_left,
        correlation: Some(request.correlation),
        metadata: &request.metadata,
    }
}

impl<L: Link> fmt::Debug for LaneConnection<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, streams) = {
            let calls = lock(&self.0.calls);
            (calls.waiting(), calls.streams)
        };
        f.debug_struct("LaneConnection")
            .field("peer", &self.0.peer)
            .field("waiting", &waiting)
            .field("streams", &streams)
            .field("queued", &self.0.outbox.queued())
            .finish_non_exhaustive()
    }
}
