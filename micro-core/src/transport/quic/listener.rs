//! The server's socket: takes connections within bounds, and drains them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use quinn::Endpoint;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::link::{QuicLink, code};
use super::{HANDSHAKE, peer};
use crate::call::BoxFuture;
use crate::status::Result;
use crate::sync::lock;
use crate::tasks;
use crate::transport::lane::{All, Close, Served};
use crate::transport::{Address, Dispatch, Listener};

/// Connections at one time; more are refused.
const CONNECTIONS: usize = 10_000;
/// With more handshakes than this under way, a client must first prove its address by a Retry: a flood
/// from forged addresses then costs one packet each.
const HALF_OPEN: usize = 64;

/// Takes connections until it is drained.
pub(super) struct QuicListener {
    state: Arc<State>,
    address: Address,
    _accepting: tasks::Owned,
}

struct State {
    endpoint: Endpoint,
    dispatch: Arc<dyn Dispatch>,
    connections: Mutex<HashMap<usize, Arc<Served<QuicLink>>>>,
    all: Arc<All>,
    half_open: AtomicUsize,
    draining: AtomicBool,
    /// A connection has ended.
    ended: Notify,
}

impl QuicListener {
    pub(super) fn start(endpoint: Endpoint, dispatch: Arc<dyn Dispatch>) -> Result<Self> {
        let address = Address::new("quic", endpoint.local_addr()?);
        let state = Arc::new(State {
            endpoint,
            dispatch,
            connections: Mutex::default(),
            all: Arc::default(),
            half_open: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
        });
        let accepting = tasks::Owned::spawn(Arc::clone(&state).accept());
        Ok(Self { state, address, _accepting: accepting })
    }
}

impl Listener for QuicListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.state.drain(deadline))
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        // Connections would keep the socket open.
        self.state.endpoint.close(code(Close::GoingAway), b"stopped");
    }
}

/// A handshake under way. Dropped when it has become a connection, or failed.
struct HalfOpen(Arc<State>);

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.0.half_open.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

/// A connection in the list of them.
struct Listed(Arc<State>, usize);

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.0.connections).remove(&self.1);
        self.0.ended.notify_waiters();
    }
}

impl State {
    async fn accept(self: Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let half_open = self.half_open.load(Ordering::Acquire);
            if self.draining.load(Ordering::Acquire)
                || lock(&self.connections).len() + half_open >= CONNECTIONS
            {
                incoming.refuse();
                continue;
            }
            if half_open > HALF_OPEN && !incoming.remote_address_validated() {
                // Fails only for validated addresses.
                let _ = incoming.retry();
                continue;
            }
            self.half_open.fetch_add(1, Ordering::AcqRel);
            let half_open = HalfOpen(Arc::clone(&self));
            tasks::spawn(Arc::clone(&self).handshake(incoming, half_open));
        }
    }

    async fn handshake(self: Arc<Self>, incoming: quinn::Incoming, half_open: HalfOpen) {
        let remote = incoming.remote_address();
        let connection = timeout(HANDSHAKE, async { incoming.accept()?.await }).await;
        let connection = match connection {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return tracing::debug!(%remote, %error, "refused a connection"),
            Err(_) => return tracing::debug!(%remote, "a handshake took longer than 3 s"),
        };
        let peer = match peer(&connection) {
            Ok(peer) => Arc::new(peer),
            Err(error) => {
                connection.close(code(Close::Protocol), b"no identity");
                return tracing::debug!(%remote, %error, "refused a connection");
            }
        };
        let id = connection.stable_id();
        let (dispatch, all) = (Arc::clone(&self.dispatch), Arc::clone(&self.all));
        let link = QuicLink { quinn: connection, peer: Arc::clone(&peer) };
        let served = Arc::new(Served::new(link, peer, dispatch, all));
        lock(&self.connections).insert(id, Arc::clone(&served));
        let _listed = Listed(Arc::clone(&self), id);
        drop(half_open);
        if self.draining.load(Ordering::Acquire) {
            served.go_away();
        }
        served.run().await;
    }

    async fn drain(&self, deadline: Instant) {
        self.draining.store(true, Ordering::Release);
        let connections: Vec<_> = lock(&self.connections).values().cloned().collect();
        connections.iter().for_each(|connection| connection.go_away());
        drop(connections);
        // The clients close, each when it has all its replies.
        let _ = timeout_at(deadline, async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                // A handshake under way becomes a connection, which then learns that it is too late.
                if self.half_open.load(Ordering::Acquire) == 0 && lock(&self.connections).is_empty()
                {
                    return;
                }
                ended.await;
            }
        })
        .await;
        self.endpoint.close(code(Close::GoingAway), b"shut down");
        let _ = timeout(HANDSHAKE, self.endpoint.wait_idle()).await;
    }
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicListener").field("address", &self.address).finish_non_exhaustive()
    }
}
