//! The server's socket: takes connections within bounds, brings those of a client together, and drains
//! them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::HANDSHAKE;
use super::conn::{Shaken, handshake};
use super::link::{Inner, Links, TcpLink};
use super::marks::{Join, Role};
use super::session::Session;
use super::stream::{Fresh, TcpReceiving, halves};
use crate::call::BoxFuture;
use crate::context::Peer;
use crate::status::Result;
use crate::sync::lock;
use crate::tasks;
use crate::transport::lane::{Clients, Close, HalfOpen, Sending};
use crate::transport::network::{self, not_bound};
use crate::transport::{Address, Dispatch, Listener};

/// Handshakes at one time, lanes and streams together; more connections are closed.
const HALF_OPEN: usize = 1_024;
/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1_024;
/// What begins a connection must come within this.
const JOIN: Duration = Duration::from_secs(2);
/// Before the next attempt when the system has no more file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Takes connections until it is drained.
pub(super) struct TcpLaneListener {
    state: Arc<State>,
    address: Address,
    _accepting: tasks::Owned,
}

struct State {
    config: Arc<ServerConfig>,
    clients: Arc<Clients<TcpLink>>,
    /// By what the clients chose, with who has proved to be the client.
    lanes: Mutex<HashMap<[u8; 16], Lane>>,
    links: Links,
}

struct Lane {
    peer: Arc<Peer>,
    link: Weak<Inner>,
}

impl TcpLaneListener {
    pub(super) fn start(
        local: SocketAddr,
        config: Arc<ServerConfig>,
        dispatch: Arc<dyn Dispatch>,
    ) -> Result<Self> {
        let listener = bind(local).map_err(|error| not_bound(local, &error))?;
        let address = Address::new("tcp", listener.local_addr()?);
        let state = Arc::new(State {
            config,
            clients: Clients::new(dispatch),
            lanes: Mutex::default(),
            links: Links::default(),
        });
        let accepting = tasks::Owned::spawn(Arc::clone(&state).accept(listener));
        Ok(Self { state, address, _accepting: accepting })
    }
}

fn bind(local: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    // So that a process that comes back does not wait for the connections of the one before. Elsewhere
    // the option means that another process may take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl Listener for TcpLaneListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.state.clients.drain(deadline).await;
            self.state.links.close_all(Close::GoingAway, "shut down");
        })
    }
}

impl Drop for TcpLaneListener {
    fn drop(&mut self) {
        self.state.links.close_all(Close::GoingAway, "stopped");
    }
}

impl State {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (io, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // One connection may have failed, or none can be taken now.
                    tracing::warn!(%error, "cannot accept a connection; going on");
                    sleep(EXHAUSTED).await;
                    continue;
                }
            };
            if self.clients.half_open() >= HALF_OPEN {
                continue;
            }
            if let Some(half_open) = self.clients.admit() {
                tasks::spawn(Arc::clone(&self).handshake(io, remote, half_open));
            }
        }
    }

    async fn handshake(
        self: Arc<Self>,
        io: TcpStream,
        remote: SocketAddr,
        half_open: HalfOpen<TcpLink>,
    ) {
        let shake = async {
            let session = Session::server(Arc::clone(&self.config))?;
            handshake(io, session).await
        };
        let shaken = match timeout(HANDSHAKE, shake).await {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(error)) => return tracing::debug!(%remote, %error, "refused a connection"),
            Err(_) => return tracing::debug!(%remote, "a handshake took longer than 3 s"),
        };
        let Shaken { conn, certificates, ahead, incoming } = shaken;
        let peer = match network::peer(&certificates, remote) {
            Ok(peer) => Arc::new(peer),
            Err(error) => return tracing::debug!(%remote, %error, "refused a connection"),
        };
        let mut fresh = Fresh { conn: Arc::new(conn), ahead, incoming };
        let join = timeout(JOIN, TcpReceiving::join(&mut fresh)).await;
        match join {
            Ok(Some(Join { role: Role::Lane, lane })) => {
                self.lane(lane, fresh, peer, half_open).await;
            }
            Ok(Some(Join { role: Role::Streams, lane })) => self.streams(&lane, fresh, &peer),
            Ok(None) | Err(_) => tracing::debug!(%remote, "a connection for nothing"),
        }
    }

    async fn lane(
        self: Arc<Self>,
        id: [u8; 16],
        fresh: Fresh,
        peer: Arc<Peer>,
        half_open: HalfOpen<TcpLink>,
    ) {
        let link = TcpLink::server(peer.service.as_deref().unwrap_or_default(), fresh);
        let lane = Lane { peer: Arc::clone(&peer), link: Arc::downgrade(&link.0) };
        {
            let mut lanes = lock(&self.lanes);
            if lanes.contains_key(&id) {
                return tracing::debug!(?peer, "a lane that is there already");
            }
            lanes.insert(id, lane);
        }
        let _listed = Listed(Arc::clone(&self), id);
        self.links.add(&link);
        Arc::clone(&self.clients).serve(link, peer, half_open).await;
    }

    fn streams(&self, id: &[u8; 16], fresh: Fresh, peer: &Peer) {
        let link = {
            let lanes = lock(&self.lanes);
            let same = |lane: &&Lane| {
                (&lane.peer.service, &lane.peer.domain) == (&peer.service, &peer.domain)
            };
            lanes.get(id).filter(same).and_then(|lane| lane.link.upgrade())
        };
        let refused = match link {
            Some(link) => TcpLink(link).take(fresh).err(),
            None => Some(fresh),
        };
        if let Some(fresh) = refused {
            tracing::debug!(?peer, "a stream without a lane, or too many");
            // So that the client knows that it did not run.
            let (mut send, _rest) = halves(fresh, Weak::new(), Role::Streams, None, None, false);
            send.reset(Close::Refused);
        }
    }
}

/// A lane in the list of them.
struct Listed(Arc<State>, [u8; 16]);

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.0.lanes).remove(&self.1);
    }
}

impl fmt::Debug for TcpLaneListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpLaneListener").field("address", &self.address).finish_non_exhaustive()
    }
}
