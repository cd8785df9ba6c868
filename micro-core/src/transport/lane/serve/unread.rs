//! Large replies on their way: how many bytes of them a client, and all clients, leave unread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Served;
use crate::transport::lane::{Close, Link};
use crate::wire::{End, OWN_STREAM};

/// A client that leaves more bytes of large replies unread than this is not read from.
pub(super) const UNREAD: usize = 16 << 20;
/// With more than this unread by all clients, who leaves most of it is closed: calls that run already
/// may still end in large replies.
const UNREAD_BY_ALL: usize = 256 << 20;

/// What all connections of a listener share.
#[derive(Default)]
pub(in crate::transport) struct All {
    unread: AtomicUsize,
    pub(super) connections: AtomicUsize,
}

/// The end of a call, counted while it is on its way if it is large.
pub(super) struct Answer<L: Link> {
    pub(super) end: End,
    pub(super) unread: Option<Unread<L>>,
}

impl<L: Link> Answer<L> {
    pub(super) fn new(connection: &Arc<Served<L>>, end: End) -> Self {
        let size = end.size();
        let unread = (size >= OWN_STREAM).then(|| Unread::new(connection, size));
        Self { end, unread }
    }
}

/// Bytes of a large reply, until they are written.
pub(super) struct Unread<L: Link> {
    connection: Arc<Served<L>>,
    size: usize,
}

impl<L: Link> Unread<L> {
    pub(super) fn new(connection: &Arc<Served<L>>, size: usize) -> Self {
        let All { unread, connections } = &*connection.all;
        let own = connection.unread.fetch_add(size, Ordering::AcqRel) + size;
        let all = unread.fetch_add(size, Ordering::AcqRel) + size;
        if all > UNREAD_BY_ALL && own >= all / connections.load(Ordering::Relaxed).max(1) {
            connection.link.close(Close::Protocol, "replies are not read");
        }
        Self { connection: Arc::clone(connection), size }
    }
}

impl<L: Link> Drop for Unread<L> {
    fn drop(&mut self) {
        self.connection.unread.fetch_sub(self.size, Ordering::AcqRel);
        self.connection.all.unread.fetch_sub(self.size, Ordering::AcqRel);
        self.connection.read.notify_waiters();
    }
}
