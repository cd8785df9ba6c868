//! QUIC: the default transport. `micro/1` over quinn, mutual TLS from the first packet.
//!
//! `link` is a connection as the protocol sees it, `listener` takes those that others make; `socket` and
//! `tuning` hold what the system and quinn need to be told.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use tokio::net::lookup_host;

use crate::call::BoxFuture;
use crate::context::Peer;
use crate::identity::{IdentitySource, tls};
use crate::status::{Code, Executed, Result, Status};
use crate::sync::lock;
use crate::transport::lane::{Close, LaneConnection};
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

/// The QUIC transport of a process.
#[derive(Debug)]
pub struct Quic {
    identities: Arc<dyn IdentitySource>,
    /// Which service this process is when it calls others.
    own: String,
    /// Which services it can prove to be when it is called.
    services: Vec<String>,
    // One socket for each family, for all outgoing connections.
    sockets: Mutex<HashMap<bool, quinn::Endpoint>>,
}

impl Quic {
    /// A transport that proves to be `own` when it calls and `services` when it is called.
    pub fn new(
        identities: Arc<dyn IdentitySource>,
        own: impl Into<String>,
        services: Vec<String>,
    ) -> Self {
        Self { identities, own: own.into(), services, sockets: Mutex::default() }
    }

    /// The endpoint for outgoing connections to `remote`.
    fn endpoint(&self, remote: SocketAddr) -> Result<quinn::Endpoint> {
        let mut sockets = lock(&self.sockets);
        if let Some(endpoint) = sockets.get(&remote.is_ipv4()) {
            return Ok(endpoint.clone());
        }
        let local: SocketAddr = match remote {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = socket::endpoint(local, None)?;
        sockets.insert(remote.is_ipv4(), endpoint.clone());
        Ok(endpoint)
    }

    async fn dial(&self, address: &Address, service: &str) -> Result<Arc<dyn Connection>> {
        let remote = reachable(resolve(address).await?);
        let config = tls::client_config(Arc::clone(&self.identities), &self.own, service)
            .map_err(|error| unreachable(address, service, &error))?;
        let config = QuicClientConfig::try_from(config).map_err(Status::from)?;
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        config.transport_config(tuning::client());
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
            tuning::server(&mut config);
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
            for socket in sockets {
                socket.close(code(Close::Done), b"done");
                // The packet leaves at once; the rest of the wait would be for packets that come late.
                let _ = tokio::time::timeout(FAREWELL, socket.wait_idle()).await;
            }
        })
    }
}

/// Where to send packets to: a process that listens on every interface of this machine says `0.0.0.0`,
/// and is reached over the loopback one. (What comes from other machines was replaced by its registry.)
fn reachable(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// Looks a host name up; a plain address needs no look-up.
async fn resolve(address: &Address) -> Result<SocketAddr> {
    let authority = address.authority();
    if let Ok(address) = authority.parse() {
        return Ok(address);
    }
    let invalid = |why: &dyn std::fmt::Display| {
        Status::invalid_argument(format!("{address}: not a host and port: {why}"))
    };
    let mut found = lookup_host(authority).await.map_err(|error| invalid(&error))?;
    found.next().ok_or_else(|| invalid(&"the name has no address"))
}

fn unreachable(address: &Address, service: &str, error: &dyn std::fmt::Display) -> Status {
    Status::unavailable(format!("cannot connect to `{service}` at {address}: {error}"))
        .with_executed(Executed::No)
}

/// Who the other end proved to be.
fn peer(connection: &quinn::Connection) -> Result<Peer> {
    let certificates = connection
        .peer_identity()
        .and_then(|identity| {
            identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()
        })
        .ok_or_else(|| Status::unauthenticated("the peer has no certificate"))?;
    let refused = |error| Status::of_cause(Code::Unauthenticated, &error);
    let id = tls::peer_id(&certificates).map_err(refused)?;
    Ok(Peer {
        service: Some(id.service().to_owned()),
        domain: Some(id.domain().to_owned()),
        address: Some(connection.remote_address()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_reached_over_loopback() {
        for (says, at) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            ("192.0.2.1:7", "192.0.2.1:7"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7"),
        ] {
            let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
            assert_eq!(reachable(parse(says)), parse(at));
        }
    }
}
