//! The client's end of a connection: many callers share one lane.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use quinn::{ConnectionError, RecvStream};
use slab::Slab;

use super::outbox::{Outbox, Unread};
use super::stream::FrameError;
use super::{close, stream};
use crate::call::{BoxFuture, Outcome, Reply};
use crate::context::Peer;
use crate::identity::tls;
use crate::status::{Executed, Result, Status};
use crate::stream::{Items, Outbound};
use crate::sync::lock;
use crate::tasks;
use crate::transport::{Calling, Connection, MAX_MESSAGE, Request};
use crate::wire::{
    Call, End, Frame, GoAway, Head, MAX_LANE_FRAME, MAX_ROUTES, OWN_STREAM, Settings, Splitter,
    WireError,
};

/// A connection to one instance.
pub(super) struct QuicConnection(Arc<Shared>);

/// What the connection, its calls and its reader share.
pub(super) struct Shared {
    pub(super) quinn: quinn::Connection,
    pub(super) peer: Arc<Peer>,
    outbox: Outbox,
    calls: Mutex<Calls>,
    draining: AtomicBool,
}

#[derive(Default)]
struct Calls {
    waiting: Slab<Waiting>,
    /// Ids of routes that the server knows.
    routes: HashMap<(Cow<'static, str>, Cow<'static, str>), u32>,
    /// Calls that were put on the lane, to compare with what a GOAWAY says was taken.
    sent: u64,
    /// Tells a call from an earlier one in the same slot.
    generation: u32,
    /// Own streams under way, which closing waits for.
    streams: usize,
    closed: bool,
}

struct Waiting {
    id: u64,
    number: u64,
    waker: Option<Waker>,
    end: Option<End>,
}

impl QuicConnection {
    /// Opens the lane.
    pub(super) async fn start(quinn: quinn::Connection, peer: Arc<Peer>) -> Result<Self> {
        let (send, receive) = quinn.open_bi().await.map_err(|e| ended(&peer, &e, Executed::No))?;
        // Small calls go before whatever fills the connection.
        let _ = send.set_priority(1);
        let shared = Arc::new(Shared {
            quinn,
            peer,
            outbox: Outbox::default(),
            calls: Mutex::default(),
            draining: AtomicBool::new(false),
        });
        shared.outbox.push(|out| settings().put(out));
        let writer = Arc::clone(&shared);
        tasks::spawn(async move {
            if let Err(Unread) = writer.outbox.write(send).await {
                writer.close(close::PROTOCOL, b"calls are not read");
            }
        });
        let reader = Arc::clone(&shared);
        tasks::spawn(async move { reader.read(receive).await });
        let large = Arc::clone(&shared);
        tasks::spawn(async move { large.read_large().await });
        Ok(Self(shared))
    }
}

/// The first frame of each side.
pub(super) fn settings() -> Frame {
    Frame::Settings(Settings { version: 1, max_message: MAX_MESSAGE as u32 })
}

impl Connection for QuicConnection {
    fn peer(&self) -> &Arc<Peer> {
        &self.0.peer
    }

    fn call(&self, request: &Request) -> Calling {
        let (shared, sent) = (Arc::clone(&self.0), request.clone());
        Calling::future(request, async move {
            if sent.body.len() >= OWN_STREAM {
                return stream::unary(&shared, sent).await;
            }
            shared.unary(sent).await
        })
    }

    fn open(&self, request: Request, outbound: Option<Outbound>) -> BoxFuture<'_, Result<Items>> {
        Box::pin(stream::open(&self.0, request, outbound))
    }

    fn is_open(&self) -> bool {
        !self.0.draining.load(Ordering::Acquire) && self.0.quinn.close_reason().is_none()
    }

    fn close(&self) {
        self.0.drain();
    }
}

impl Drop for QuicConnection {
    fn drop(&mut self) {
        self.0.drain();
    }
}

impl Shared {
    async fn unary(self: &Arc<Self>, request: Request) -> Outcome {
        self.outbox.room().await;
        let Some(id) = self.send(&request)? else {
            return Box::pin(stream::unary(self, request)).await;
        };
        let mut call = OnLane { shared: self, id, ended: false };
        let End { metadata, result } = poll_fn(|cx| call.poll(cx)).await;
        Ok(Reply { metadata, body: result?, items: None })
    }

    /// Puts a call on the lane, after its route if that is new; `None` when there are too many routes.
    fn send(&self, request: &Request) -> Result<Option<u64>> {
        let mut calls = lock(&self.calls);
        if calls.closed || self.draining.load(Ordering::Acquire) {
            return Err(self.gone(Executed::No));
        }
        let target = &request.target;
        let key = (target.service.clone(), target.method.clone());
        let (route, is_new) = match calls.routes.get(&key) {
            Some(route) => (*route, false),
            None if calls.routes.len() >= MAX_ROUTES => return Ok(None),
            None => (calls.routes.len() as u32, true),
        };
        calls.generation = calls.generation.wrapping_add(1);
        let entry = calls.waiting.vacant_key();
        let id = u64::from(calls.generation) << 32 | entry as u64;
        let (head, body) = (head(request), request.body.clone());
        let sent = self.outbox.push(|out| {
            if is_new {
                let (service, method) = (target.service.to_string(), target.method.to_string());
                Frame::Route { id: route, service, method }.put(out);
            }
            Frame::Call(Call { id, route, head, body }).put(out);
        });
        if !sent {
            return Err(self.gone(Executed::No));
        }
        if is_new {
            calls.routes.insert(key, route);
        }
        calls.sent += 1;
        let number = calls.sent;
        calls.waiting.insert(Waiting { id, number, waker: None, end: None });
        Ok(Some(id))
    }

    /// Reads replies until the connection ends; then nobody waits any more.
    async fn read(self: Arc<Self>, mut receive: RecvStream) {
        let error = match self.read_lane(&mut receive).await {
            Ok(()) => None,
            Err(error) => {
                self.close(close::PROTOCOL, error.to_string().as_bytes());
                Some(error)
            }
        };
        if let Some(error) = error {
            tracing::warn!(peer = ?self.peer, %error, "closed a connection whose peer broke the protocol");
        }
        self.outbox.close();
        // Large replies may still come, each on a stream of its own.
        self.drain();
        self.quinn.closed().await;
        let mut calls = lock(&self.calls);
        calls.closed = true;
        for (_, waiting) in &mut calls.waiting {
            let status = self.gone(Executed::Maybe);
            waiting.end.get_or_insert_with(|| end(Err(status)));
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    async fn read_lane(&self, receive: &mut RecvStream) -> Result<(), WireError> {
        let mut splitter = Splitter::new(MAX_LANE_FRAME);
        let mut chunks = vec![Bytes::new(); 32];
        let mut wakers = Vec::new();
        // An error here is the end of the connection, which has its own reason.
        while let Ok(Some(count)) = receive.read_chunks(&mut chunks).await {
            for chunk in &mut chunks[..count] {
                splitter.push(std::mem::take(chunk));
            }
            {
                let mut calls = lock(&self.calls);
                while let Some(frame) = splitter.next()? {
                    self.take(Frame::read(frame)?, &mut calls, &mut wakers)?;
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
            Frame::Reply { id, end } => calls.end(id, end, wakers),
            Frame::GoAway(taken) => self.go_away(taken, calls, wakers),
            Frame::Settings(Settings { version, max_message: _ }) if version != 1 => {
                return Err(WireError::Invalid("version"));
            }
            Frame::Settings(_) | Frame::Unknown(_) => {}
            Frame::Call(_)
            | Frame::Cancel { .. }
            | Frame::End(_)
            | Frame::Item(_)
            | Frame::Open(_)
            | Frame::Route { .. } => return Err(WireError::Invalid("kind")),
        }
        Ok(())
    }

    /// The server takes no more calls; those that it did not take may go elsewhere.
    fn go_away(&self, taken: GoAway, calls: &mut Calls, wakers: &mut Vec<Waker>) {
        self.draining.store(true, Ordering::Release);
        for (_, waiting) in &mut calls.waiting {
            if waiting.number > taken.calls && waiting.end.is_none() {
                waiting.end = Some(end(Err(self.gone(Executed::No))));
                wakers.extend(waiting.waker.take());
            }
        }
    }

    /// Replies too large for the lane come on streams of their own.
    async fn read_large(self: Arc<Self>) {
        while let Ok(mut receive) = self.quinn.accept_uni().await {
            let shared = Arc::clone(&self);
            tasks::spawn(async move {
                match stream::frame(&mut receive, &mut stream::splitter()).await {
                    Ok(Some(Frame::Reply { id, end })) => {
                        let mut wakers = Vec::new();
                        lock(&shared.calls).end(id, end, &mut wakers);
                        wakers.into_iter().for_each(Waker::wake);
                        shared.close_if_idle();
                    }
                    // The call was cancelled in the middle of its reply.
                    Err(FrameError::Cut | FrameError::Refused) => {}
                    Ok(_) | Err(FrameError::Wire(_)) => {
                        shared.close(close::PROTOCOL, b"not a reply");
                    }
                }
            });
        }
    }

    /// Takes no more calls, and closes when the last one has ended.
    fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.close_if_idle();
    }

    /// A drained connection is closed by its client: what the server sent last would be lost otherwise.
    fn close_if_idle(&self) {
        if !self.draining.load(Ordering::Acquire) {
            return;
        }
        let calls = lock(&self.calls);
        if calls.streams == 0 && calls.waiting.iter().all(|(_, waiting)| waiting.end.is_some()) {
            self.close(close::DONE, b"done");
        }
    }

    /// Counts a stream in; `None` when the connection takes no more calls.
    pub(super) fn stream(self: &Arc<Self>) -> Result<StreamGuard> {
        let mut calls = lock(&self.calls);
        if calls.closed || self.draining.load(Ordering::Acquire) {
            return Err(self.gone(Executed::No));
        }
        calls.streams += 1;
        Ok(StreamGuard(Arc::clone(self)))
    }

    /// Closes, unless the connection is lost already: quinn would forget why.
    fn close(&self, code: quinn::VarInt, reason: &[u8]) {
        if self.quinn.close_reason().is_none() {
            self.quinn.close(code, reason);
        }
    }

    /// The status of a call on a connection that is gone.
    pub(super) fn gone(&self, executed: Executed) -> Status {
        match self.quinn.close_reason() {
            Some(reason) => ended(&self.peer, &reason, executed),
            None if executed == Executed::No => {
                lost(&self.peer, &"the peer takes no more calls", executed)
            }
            None => lost(&self.peer, &"the peer cut the call", executed),
        }
    }
}

/// The status of a call on a connection that has ended for this reason.
fn ended(peer: &Peer, reason: &ConnectionError, executed: Executed) -> Status {
    // In TLS 1.3 a server hears last who calls; until it agrees, no call has run.
    let executed = if is_refusal(reason) { Executed::No } else { executed };
    match tls::explain(peer.service.as_deref().unwrap_or_default(), reason) {
        Some(why) => lost(peer, &why, executed),
        None => lost(peer, reason, executed),
    }
}

/// Whether the peer ended the handshake by a TLS alert (RFC 9001, section 4.8).
fn is_refusal(reason: &ConnectionError) -> bool {
    let ConnectionError::ConnectionClosed(closed) = reason else { return false };
    (0x100..0x200).contains(&u64::from(closed.error_code))
}

/// Keeps a draining connection open while a stream is under way.
pub(super) struct StreamGuard(Arc<Shared>);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        lock(&self.0.calls).streams -= 1;
        self.0.close_if_idle();
    }
}

impl Calls {
    /// Hands a reply to its caller; a caller that has gone, or a false id, has no slot.
    fn end(&mut self, id: u64, end: End, wakers: &mut Vec<Waker>) {
        let slot = (id & u64::from(u32::MAX)) as usize;
        if let Some(waiting) = self.waiting.get_mut(slot).filter(|w| w.id == id && w.end.is_none())
        {
            waiting.end = Some(end);
            wakers.extend(waiting.waker.take());
        }
    }
}

/// A call on the lane. Dropped before its end, it frees its slot and tells the server.
struct OnLane<'a> {
    shared: &'a Shared,
    id: u64,
    ended: bool,
}

impl OnLane<'_> {
    fn slot(&self) -> usize {
        (self.id & u64::from(u32::MAX)) as usize
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<End> {
        let mut calls = lock(&self.shared.calls);
        let waiting = &mut calls.waiting[self.slot()];
        let Some(end) = waiting.end.take() else {
            match &mut waiting.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        calls.waiting.remove(self.slot());
        self.ended = true;
        Poll::Ready(end)
    }
}

impl Drop for OnLane<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        lock(&self.shared.calls).waiting.try_remove(self.slot());
        self.shared.outbox.push(|out| Frame::Cancel { id: self.id }.put(out));
        self.shared.close_if_idle();
    }
}

pub(super) fn head(request: &Request) -> Head {
    Head {
        encoding: request.encoding as u8,
        repeated: request.repeated,
        time_left: request.time_left(),
        correlation: Some(request.correlation),
        metadata: request.metadata.clone(),
    }
}

fn end(result: Result<Bytes>) -> End {
    End { metadata: crate::metadata::Metadata::new(), result }
}

fn lost(peer: &Peer, reason: &dyn fmt::Display, executed: Executed) -> Status {
    let name = peer.service.as_deref().unwrap_or("the peer");
    let doubt = match executed {
        Executed::Maybe => "; the call may have run",
        Executed::No => "; the call did not run",
        Executed::Yes => "",
    };
    Status::unavailable(format!("the connection to `{name}` is lost: {reason}{doubt}"))
        .with_executed(executed)
}

impl fmt::Debug for QuicConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicConnection").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}
