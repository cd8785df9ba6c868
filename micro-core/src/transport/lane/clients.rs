//! The clients of a listener, whatever it listens on: how many there are, and how they are sent away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{All, Link, Served};
use crate::context::Peer;
use crate::sync::lock;
use crate::transport::Dispatch;

/// Connections at one time; more are refused.
const CONNECTIONS: usize = 10_000;

/// The connections that were made to us.
pub(in crate::transport) struct Clients<L: Link> {
    dispatch: Arc<dyn Dispatch>,
    connections: Mutex<HashMap<u64, Arc<Served<L>>>>,
    all: Arc<All>,
    half_open: AtomicUsize,
    draining: AtomicBool,
    /// A connection has ended, or a handshake.
    ended: Notify,
}

impl<L: Link> Clients<L> {
    pub(in crate::transport) fn new(dispatch: Arc<dyn Dispatch>) -> Arc<Self> {
        Arc::new(Self {
            dispatch,
            connections: Mutex::default(),
            all: Arc::default(),
            half_open: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
        })
    }

    /// Handshakes under way.
    pub(in crate::transport) fn half_open(&self) -> usize {
        self.half_open.load(Ordering::Acquire)
    }

    /// Counts a handshake in, unless no more connections are taken.
    pub(in crate::transport) fn admit(self: &Arc<Self>) -> Option<HalfOpen<L>> {
        let is_full = || lock(&self.connections).len() + self.half_open() >= CONNECTIONS;
        if self.draining.load(Ordering::Acquire) || is_full() {
            return None;
        }
        self.half_open.fetch_add(1, Ordering::AcqRel);
        Some(HalfOpen(Arc::clone(self)))
    }

    /// Serves a connection until it ends.
    pub(in crate::transport) async fn serve(
        self: Arc<Self>,
        link: L,
        peer: Arc<Peer>,
        half_open: HalfOpen<L>,
    ) {
        let (dispatch, all) = (Arc::clone(&self.dispatch), Arc::clone(&self.all));
        let served = Arc::new(Served::new(link, peer, dispatch, all));
        let id = Arc::as_ptr(&served).addr() as u64;
        lock(&self.connections).insert(id, Arc::clone(&served));
        let _listed = Listed(Arc::clone(&self), id);
        drop(half_open);
        if self.draining.load(Ordering::Acquire) {
            served.go_away();
        }
        served.run().await;
    }

    /// Sends all clients away, and returns when the last is gone, or at the deadline.
    pub(in crate::transport) async fn drain(&self, deadline: Instant) {
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
                if self.half_open() == 0 && lock(&self.connections).is_empty() {
                    return;
                }
                ended.await;
            }
        })
        .await;
    }
}

/// A handshake under way. Dropped when it has become a connection, or failed.
pub(in crate::transport) struct HalfOpen<L: Link>(Arc<Clients<L>>);

impl<L: Link> Drop for HalfOpen<L> {
    fn drop(&mut self) {
        self.0.half_open.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

/// A connection in the list of them.
struct Listed<L: Link>(Arc<Clients<L>>, u64);

impl<L: Link> Drop for Listed<L> {
    fn drop(&mut self) {
        lock(&self.0.connections).remove(&self.1);
        self.0.ended.notify_waiters();
    }
}
