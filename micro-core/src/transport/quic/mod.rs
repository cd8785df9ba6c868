//! QUIC: the default transport. `micro/1` over quinn, mutual TLS from the first packet.
//!
//! `link` is a connection as the protocol sees it, `listener` takes those that others make; `socket` and
//! `tuning` hold what the system and quinn need to be told.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};

use crate::call::BoxFuture;
use crate::context::Peer;
use crate::identity::{IdentitySource, tls};
use crate::status::{Code, Result, Status};
use crate::sync::lock;
use crate::transport::lane::{Close, LaneConnection};
use crate::transport::network::{self, reachable, resolve, unreachable};
use crate::transport::{Address, Connection, Dispatch, Listener, Transport};

mod link;
mod listener;
mod socket;
mod tuning;

use link::{QuicLink, code};

/// How long a process that ends waits for its last packets to leave.
const FAREWELL: Duration = Duration::from_millis(20);
/// A handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// The bounds of [`Quic::mtu`], in bytes: what QUIC asks of every network, to where ten packets of one
/// call of the system still stay below 64 KiB. Beyond, the kernel drops them and nobody is told.
pub const MTU: RangeInclusive<u16> = 1_200..=6_500;

/// The QUIC transport of a process.
#[derive(Debug)]
pub struct Quic {
    identities: Arc<dyn IdentitySource>,
    /// Which service this process is when it calls others.
    own: String,
    /// Which services it can prove to be when it is called.
    services: Vec<String>,
    mtu: u16,
    /// For outgoing connections: by family and shard.
    sockets: Mutex<HashMap<(bool, u64), quinn::Endpoint>>,
}

impl Quic {
    /// A transport that proves to be `own` when it calls and `services` when it is called.
    pub fn new(
        identities: Arc<dyn IdentitySource>,
        own: impl Into<String>,
        services: Vec<String>,
    ) -> Self {
        Self { identities, own: own.into(), services, mtu: *MTU.end(), sockets: Mutex::default() }
    }

    /// Tries UDP payloads up to this many bytes, within [`MTU`]; 6,500 unless given. A connection begins
    /// with 1,200 and finds out what its path takes.
    #[must_use]
    pub fn mtu(self, most: u16) -> Self {
        Self { mtu: most.clamp(*MTU.start(), *MTU.end()), ..self }
    }

    /// The endpoint for outgoing connections to `remote`: always the same for one peer, so that each
    /// connection stays with one socket and one task that drives it.
    fn endpoint(&self, remote: SocketAddr) -> Result<quinn::Endpoint> {
        let shard = (remote.is_ipv4(), shard(remote, tuning::client_sockets()));
        let mut sockets = lock(&self.sockets);
        if let Some(endpoint) = sockets.get(&shard) {
            return Ok(endpoint.clone());
        }
        let local: SocketAddr = match remote {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = socket::endpoint(local, None)?;
        sockets.insert(shard, endpoint.clone());
        Ok(endpoint)
    }

    async fn dial(&self, address: &Address, service: &str) -> Result<Arc<dyn Connection>> {
        let remote = reachable(resolve(address).await?);
        let config = tls::client_config(Arc::clone(&self.identities), &self.own, service)
            .map_err(|error| unreachable(address, service, &error))?;
        let config = QuicClientConfig::try_from(config).map_err(Status::from)?;
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        config.transport_config(tuning::client(self.mtu));
        let endpoint = self.endpoint(remote)?;
        let connecting = endpoint
            .connect_with(config, remote, &tls::server_name(service))
            .map_err(|error| unreachable(address, service, &error))?;
        let connection = match tokio::time::timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                let why = tls::explain(service, &error).unwrap_or_else(|| error.to_string());
                return Err(unreachable(address, service, &why));
            }
            Err(_) => return Err(unreachable(address, service, &"no answer within 3 s")),
        };
        let peer = Arc::new(peer(&connection)?);
        let link = QuicLink { quinn: connection, peer: Arc::clone(&peer) };
        Ok(Arc::new(LaneConnection::start(link, peer).await?))
    }
}

impl Transport for Quic {
    fn scheme(&self) -> &'static str {
        "quic"
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        dispatch: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let local = resolve(address).await?;
            let config = tls::server_config(Arc::clone(&self.identities), &self.services)
                .map_err(|error| Status::of_cause(Code::FailedPrecondition, &error))?;
            let config = QuicServerConfig::try_from(config).map_err(Status::from)?;
            let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
            tuning::server(&mut config, self.mtu);
            let endpoint = socket::endpoint(local, Some(config))?;
            Ok(Box::new(listener::QuicListener::start(endpoint, dispatch)?) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(
        &'a self,
        address: &'a Address,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>> {
        Box::pin(self.dial(address, service))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let sockets: Vec<_> = lock(&self.sockets).drain().map(|(_, socket)| socket).collect();
            sockets.iter().for_each(|socket| socket.close(code(Close::Done), b"done"));
            for socket in sockets {
                // The packet leaves at once; the rest of the wait would be for packets that come late.
                let _ = tokio::time::timeout(FAREWELL, socket.wait_idle()).await;
            }
        })
    }
}

/// Which of so many sockets a peer is reached by.
fn shard(remote: SocketAddr, count: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    remote.hash(&mut hasher);
    hasher.finish() % count
}

/// Who the other end proved to be.
fn peer(connection: &quinn::Connection) -> Result<Peer> {
    let certificates = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<tls::Certificate>>().ok())
        .ok_or_else(|| Status::unauthenticated("the peer has no certificate"))?;
    network::peer(&certificates, connection.remote_address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_spread_over_the_sockets_and_each_keeps_its_own() {
        let peer = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut seen = [0; 4];
        for port in 1..1_000 {
            seen[shard(peer(port), 4) as usize] += 1;
            assert_eq!(shard(peer(port), 4), shard(peer(port), 4));
            assert_eq!(shard(peer(port), 1), 0);
        }
        assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
    }
}
