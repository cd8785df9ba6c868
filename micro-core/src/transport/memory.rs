//! Memory: calls within one process, for tests and for services that live together. No sockets, no
//! frames; the same deadlines, limits, cancellation and endings as over the network.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::task::{Poll, Waker, ready};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::{
    Address, Arrived, Calling, Connection, Dispatch, LONGEST_CALL, Listener, MAX_MESSAGE, Request,
    Route, Transport, too_large,
};
use crate::call::Kind;
use crate::call::{BoxFuture, Outcome};
use crate::context::Peer;
use crate::status::{Executed, Result, Status};
use crate::stream::{self, Items, Outbound};
use crate::sync::{read, write};
use crate::tasks;

/// A network within one process. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    network: Arc<Network>,
    /// What those that are called see; nothing proves it, and within one process nothing needs to.
    caller: Arc<Peer>,
}

impl Memory {
    /// The same network for a process that calls as `service`, which access rules may ask for.
    pub fn calling_as(&self, service: impl Into<String>) -> Self {
        let caller = Peer { service: Some(service.into()), ..Peer::default() };
        Self { network: Arc::clone(&self.network), caller: Arc::new(caller) }
    }
}

#[derive(Debug, Default)]
struct Network {
    servers: RwLock<HashMap<String, Arc<Server>>>,
    next: AtomicU64,
}

struct Server {
    address: Address,
    dispatch: Arc<dyn Dispatch>,
    draining: AtomicBool,
    running: AtomicUsize,
    ended: Notify,
    /// Whether it is gone: then nothing runs any more.
    gone: watch::Sender<bool>,
}

impl Transport for Memory {
    fn scheme(&self) -> &'static str {
        "memory"
    }

    fn listen<'a>(
        &'a self,
        _: &'a Address,
        dispatch: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let name = self.network.next.fetch_add(1, Ordering::Relaxed).to_string();
            let server = Arc::new(Server {
                address: Address::new("memory", &name),
                dispatch,
                draining: AtomicBool::new(false),
                running: AtomicUsize::new(0),
                ended: Notify::new(),
                gone: watch::Sender::new(false),
            });
            write(&self.network.servers).insert(name, Arc::clone(&server));
            let network = Arc::clone(&self.network);
            Ok(Box::new(MemoryListener { network, server }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(
        &'a self,
        address: &'a Address,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>> {
        Box::pin(async move {
            let server = read(&self.network.servers).get(address.authority()).cloned();
            let Some(server) = server else {
                let text = format!("cannot connect to `{service}` at {address}: nobody listens");
                return Err(Status::unavailable(text).with_executed(Executed::No));
            };
            let peer = Peer { service: Some(service.to_owned()), ..Peer::default() };
            let (peer, caller) = (Arc::new(peer), Arc::clone(&self.caller));
            let closed = AtomicBool::new(false);
            Ok(Arc::new(MemoryConnection { server, peer, caller, closed }) as Arc<dyn Connection>)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        // Nothing is kept for a connection.
        Box::pin(std::future::ready(()))
    }
}

#[derive(Debug)]
struct MemoryListener {
    network: Arc<Network>,
    server: Arc<Server>,
}

impl Listener for MemoryListener {
    fn address(&self) -> Address {
        self.server.address.clone()
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.server.draining.store(true, Ordering::Release);
            let _ = timeout_at(deadline, self.server.idle()).await;
            self.close();
        })
    }
}

impl MemoryListener {
    fn close(&self) {
        self.server.draining.store(true, Ordering::Release);
        write(&self.network.servers).remove(self.server.address.authority());
        self.server.gone.send_replace(true);
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.close();
    }
}

impl Server {
    /// Runs a call until it ends or the server is gone.
    async fn run(self: Arc<Self>, route: Route, call: Arrived) -> Outcome {
        let mut gone = self.gone.subscribe();
        let correlation = call.correlation;
        tokio::select! {
            outcome = self.dispatch.call(&route, call) => match outcome {
                Ok(reply) if reply.body.len() > MAX_MESSAGE => {
                    Err(too_large(reply.body.len()).with_executed(Executed::Yes))
                }
                outcome => outcome,
            },
            _ = gone.wait_for(|gone| *gone) => {
                Err(Status::unavailable("the server is gone; the call may have run"))
            }
        }
        .map_err(|status| status.with_correlation(correlation))
    }

    async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.running.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct MemoryConnection {
    server: Arc<Server>,
    peer: Arc<Peer>,
    caller: Arc<Peer>,
    closed: AtomicBool,
}

/// Counts a call in; drain waits until it is dropped.
struct Running(Arc<Server>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

impl MemoryConnection {
    /// Finds the handler and counts the call in.
    fn begin(&self, request: &Request) -> Result<(Route, Running)> {
        self.admit(request).map_err(|status| status.with_correlation(request.correlation))
    }

    fn admit(&self, request: &Request) -> Result<(Route, Running)> {
        // Counted before the look, so that a drain that begins in between waits for it.
        self.server.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(Arc::clone(&self.server));
        if !self.is_open() {
            let text = format!("{} takes no more calls", self.server.address);
            return Err(Status::unavailable(text).with_executed(Executed::No));
        }
        if request.body.len() > MAX_MESSAGE {
            return Err(too_large(request.body.len()).with_executed(Executed::No));
        }
        let route =
            self.server.dispatch.resolve(&request.target.service, &request.target.method)?;
        if route.target.kind != request.target.kind {
            let text = format!("{} is a {} call", route.target, route.target.kind.name());
            return Err(Status::invalid_argument(text).with_executed(Executed::No));
        }
        Ok((route, running))
    }

    fn arrived(&self, request: Request) -> Arrived {
        let Request { encoding, deadline, correlation, repeated, metadata, body, .. } = request;
        Arrived {
            peer: Arc::clone(&self.caller),
            encoding,
            deadline: deadline.min(Instant::now() + LONGEST_CALL),
            correlation,
            repeated,
            metadata,
            body,
            inbound: None,
            outbound: None,
        }
    }
}

impl Connection for MemoryConnection {
    fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    fn call_for(&self, request: &Request, _: Option<&Waker>) -> Calling {
        let (route, running) = match self.begin(request) {
            Ok(begun) => begun,
            Err(status) => return Calling::ended(Err(status)),
        };
        let run = Arc::clone(&self.server).run(route, self.arrived(request.clone()));
        Calling::future(request, async move {
            let _running = running;
            run.await
        })
    }

    fn open(&self, request: Request, outbound: Option<Outbound>) -> BoxFuture<'_, Result<Items>> {
        Box::pin(async move {
            let (route, running) = self.begin(&request)?;
            let kind = route.target.kind;
            let mut call = self.arrived(request);
            call.inbound = outbound.map(received);
            let (sink, mut replies) = stream::items();
            call.outbound = kind.has_outbound().then_some(sink);
            let run = Arc::clone(&self.server).run(route, call);
            let (done, mut outcome) = oneshot::channel();
            let task = tasks::Owned::spawn(async move {
                let _running = running;
                // Fails only when nobody waits any more.
                let _ = done.send(run.await);
            });
            let mut ended = false;
            Ok(Items::new(stream::from_fn(move |cx| {
                let _ = &task;
                if ended {
                    return Poll::Ready(None);
                }
                if let Some(item) = ready!(replies.poll_recv(cx)) {
                    return Poll::Ready(Some(Ok(item)));
                }
                let outcome = ready!(std::pin::Pin::new(&mut outcome).poll(cx));
                ended = true;
                Poll::Ready(last(kind, outcome))
            })))
        })
    }

    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && !self.server.draining.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// What comes behind the items: the reply of a client stream, or the error.
fn last(kind: Kind, outcome: Result<Outcome, oneshot::error::RecvError>) -> Option<Result<Bytes>> {
    match outcome {
        Ok(Ok(reply)) => (kind == Kind::ClientStream).then_some(Ok(reply.body)),
        Ok(Err(status)) => Some(Err(status)),
        Err(_) => Some(Err(Status::unavailable("the server is gone"))),
    }
}

fn received(mut outbound: Outbound) -> Items {
    Items::new(stream::from_fn(move |cx| outbound.poll_recv(cx).map(|item| item.map(Ok))))
}
