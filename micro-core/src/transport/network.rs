//! What transports over a network share: addresses, and who is at them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::lookup_host;

use super::Address;
use crate::context::Peer;
use crate::identity::tls;
use crate::status::{Code, Executed, Result, Status};

/// Where to send packets to: a process that listens on every interface of this machine says `0.0.0.0`,
/// and is reached over the loopback one. (What comes from other machines was replaced by its registry.)
pub(super) fn reachable(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// Looks a host name up; a plain address needs no look-up.
pub(super) async fn resolve(address: &Address) -> Result<SocketAddr> {
    let authority = address.authority();
    if let Ok(address) = authority.parse() {
        return Ok(address);
    }
    let invalid = |why: &dyn fmt::Display| {
        Status::invalid_argument(format!("{address}: not a host and port: {why}"))
    };
    let mut found = lookup_host(authority).await.map_err(|error| invalid(&error))?;
    found.next().ok_or_else(|| invalid(&"the name has no address"))
}

pub(super) fn unreachable(address: &Address, service: &str, error: &dyn fmt::Display) -> Status {
    Status::unavailable(format!("cannot connect to `{service}` at {address}: {error}"))
        .with_executed(Executed::No)
}

/// Why an address cannot be listened on, and what to do.
pub(super) fn not_bound(local: SocketAddr, error: &io::Error) -> Status {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => {
            "; another process listens there: choose another address, or port 0 for a free one"
        }
        ErrorKind::AddrNotAvailable => "; this machine has no such address",
        ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    };
    Status::unavailable(format!("cannot listen on {local}: {error}{hint}"))
}

/// Who has shown these certificates.
pub(super) fn peer(certificates: &[tls::Certificate], address: SocketAddr) -> Result<Peer> {
    let refused = |error| Status::of_cause(Code::Unauthenticated, &error);
    let id = tls::peer_id(certificates).map_err(refused)?;
    Ok(Peer {
        service: Some(id.service().to_owned()),
        domain: Some(id.domain().to_owned()),
        address: Some(address),
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
