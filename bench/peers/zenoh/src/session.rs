//! Sessions of zenoh and how they are set up.

use std::net::SocketAddr;

use anyhow::{Error, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zenoh::{Config, Session};

/// What a session does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Connects.
    Client,
    /// Listens, and publishes.
    Peer,
    /// Listens, and passes on.
    Router,
}

/// What it speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    Quic,
    Tcp,
}

/// Opens a session that listens on this address or connects to it.
pub(crate) async fn open(place: Place, wire: Wire, address: SocketAddr) -> Result<Session> {
    let config = config(place, wire, address)?;
    zenoh::open(config).await.map_err(Error::from_boxed)
}

fn config(place: Place, wire: Wire, address: SocketAddr) -> Result<Config> {
    let (mode, ends) = match place {
        Place::Client => ("client", "connect/endpoints"),
        Place::Peer => ("peer", "listen/endpoints"),
        Place::Router => ("router", "listen/endpoints"),
    };
    let endpoint = match wire {
        Wire::Quic => format!("quic/{}:{}", kit::tls::HOST, address.port()),
        Wire::Tcp => format!("tcp/{address}"),
    };
    let mut config = Config::default();
    let mut set =
        |key: &str, value: &str| config.insert_json5(key, value).map_err(Error::from_boxed);
    set("mode", &format!("\"{mode}\""))?;
    set(ends, &format!("[\"{endpoint}\"]"))?;
    // The others are known, and nobody else of this machine shall join.
    set("scouting/multicast/enabled", "false")?;
    set("scouting/gossip/enabled", "false")?;
    // A router stamps each message with the time by default; nobody here looks at it.
    set("timestamping/enabled", "false")?;
    // Batches of 64 KiB that wait for the wire, for each subscriber: the most that it allows, so that the
    // publisher rarely waits for one of a hundred.
    set("transport/link/tx/queue/size/data", "16")?;
    if wire == Wire::Quic {
        certificates(place, address, &mut set)?;
    }
    Ok(config)
}

fn certificates(
    place: Place,
    address: SocketAddr,
    set: &mut impl FnMut(&str, &str) -> Result<()>,
) -> Result<()> {
    let text = |pem: &str| format!("\"{}\"", BASE64_STANDARD.encode(pem));
    if place == Place::Client {
        let trusted = kit::tls::trusted_pem(address)?;
        return set("transport/link/tls/root_ca_certificate_base64", &text(&trusted));
    }
    let certified = kit::tls::Certified::new()?;
    certified.publish(address)?;
    let (certificate, key) = certified.pem();
    set("transport/link/tls/listen_certificate_base64", &text(&certificate))?;
    set("transport/link/tls/listen_private_key_base64", &text(&key))
}
