//! TLS over TCP: for networks that let no UDP through. The same frames, the same identities.
//!
//! The first connection of a client to an instance is the lane; streams have connections of their own,
//! which are used again. `conn` is one connection and `session` the TLS on it, `stream` what it carries;
//! `link` puts them together as the protocol sees them, and `listener` takes those that others make.

use std::sync::Arc;
use std::time::Duration;

use crate::call::BoxFuture;
use crate::identity::{IdentitySource, tls};
use crate::status::{Code, Result, Status};
use crate::transport::lane::{Close, LaneConnection};
use crate::transport::network::{self, reachable, resolve, unreachable};
use crate::transport::{Address, Connection, Dispatch, Listener, Transport};

mod buffer;
mod conn;
mod link;
mod listener;
mod marks;
mod session;
mod stream;

use conn::Failed;
use link::{Dialer, TcpLink};

/// A handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// The TCP transport of a process.
#[derive(Debug)]
pub struct Tcp {
    identities: Arc<dyn IdentitySource>,
    /// Which service this process is when it calls others.
    own: String,
    /// Which services it can prove to be when it is called.
    services: Vec<String>,
    /// What it has connected to, to be closed with it.
    made: link::Links,
}

impl Tcp {
    /// A transport that proves to be `own` when it calls and `services` when it is called.
    pub fn new(
        identities: Arc<dyn IdentitySource>,
        own: impl Into<String>,
        services: Vec<String>,
    ) -> Self {
        Self { identities, own: own.into(), services, made: Default::default() }
    }

    async fn dial(&self, address: &Address, service: &str) -> Result<Arc<dyn Connection>> {
        let remote = reachable(resolve(address).await?);
        let config = tls::client_config(Arc::clone(&self.identities), &self.own, service)
            .map_err(|error| unreachable(address, service, &error))?;
        let dialer = Dialer::new(remote, Arc::new(config));
        let shaken = link::dial(remote, &dialer.config, service).await.map_err(|error| {
            let why = match &error {
                Failed::Tls(error) => tls::explain_tls(service, error),
                Failed::Io(_) => None,
            };
            unreachable(address, service, &why.unwrap_or_else(|| error.to_string()))
        })?;
        let peer = Arc::new(network::peer(&shaken.certificates, remote)?);
        let link = TcpLink::client(service, shaken, dialer);
        self.made.add(&link);
        Ok(Arc::new(LaneConnection::start(link, peer).await?))
    }
}

impl Transport for Tcp {
    fn scheme(&self) -> &'static str {
        "tcp"
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
            let listener = listener::TcpLaneListener::start(local, Arc::new(config), dispatch)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
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
        self.made.close_all(Close::Done, "done");
        Box::pin(std::future::ready(()))
    }
}
