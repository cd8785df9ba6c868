//! The server's socket: takes connections within bounds, and drains them.

use std::fmt;
use std::sync::Arc;

use quinn::Endpoint;
use tokio::time::{Instant, timeout};

use super::link::{QuicLink, code};
use super::{HANDSHAKE, peer};
use crate::call::BoxFuture;
use crate::status::Result;
use crate::tasks;
use crate::transport::lane::{Clients, Close, HalfOpen};
use crate::transport::{Address, Dispatch, Listener};

/// With more handshakes than this under way, a client must first prove its address by a Retry: a flood
/// from forged addresses then costs one packet each.
const HALF_OPEN: usize = 64;

/// Takes connections until it is drained.
pub(super) struct QuicListener {
    endpoint: Endpoint,
    clients: Arc<Clients<QuicLink>>,
    address: Address,
    _accepting: tasks::Owned,
}

impl QuicListener {
    pub(super) fn start(endpoint: Endpoint, dispatch: Arc<dyn Dispatch>) -> Result<Self> {
        let address = Address::new("quic", endpoint.local_addr()?);
        let clients = Clients::new(dispatch);
        let accepting = tasks::Owned::spawn(accept(endpoint.clone(), Arc::clone(&clients)));
        Ok(Self { endpoint, clients, address, _accepting: accepting })
    }
}

impl Listener for QuicListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.clients.drain(deadline).await;
            self.endpoint.close(code(Close::GoingAway), b"shut down");
            let _ = timeout(HANDSHAKE, self.endpoint.wait_idle()).await;
        })
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        // Connections would keep the socket open.
        self.endpoint.close(code(Close::GoingAway), b"stopped");
    }
}

async fn accept(endpoint: Endpoint, clients: Arc<Clients<QuicLink>>) {
    while let Some(incoming) = endpoint.accept().await {
        if clients.half_open() > HALF_OPEN && !incoming.remote_address_validated() {
            // Fails only for validated addresses.
            let _ = incoming.retry();
            continue;
        }
        match clients.admit() {
            Some(half_open) => {
                tasks::spawn(handshake(incoming, Arc::clone(&clients), half_open));
            }
            None => incoming.refuse(),
        }
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    clients: Arc<Clients<QuicLink>>,
    half_open: HalfOpen<QuicLink>,
) {
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
    let link = QuicLink { quinn: connection, peer: Arc::clone(&peer) };
    // In a task of its own, which does not keep the memory that the handshake needed.
    tasks::spawn(clients.serve(link, peer, half_open));
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicListener").field("address", &self.address).finish_non_exhaustive()
    }
}
