//! Finds out whether multicast works, since the library would only be silent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::MdnsOptions;
use crate::id::Id;
use crate::registry::RegistryError;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const ECHO: Duration = Duration::from_millis(250);

/// Joins the group and hears its own voice, on the interfaces that are asked for.
pub(super) fn multicast(options: &MdnsOptions) -> Result<(), RegistryError> {
    let loopback = || hears_itself(options.port, Ipv4Addr::LOCALHOST);
    let outcome = if options.loopback_only {
        loopback()
    } else {
        // A machine without a network still has itself.
        hears_itself(options.port, Ipv4Addr::UNSPECIFIED).or_else(|error| loopback().or(Err(error)))
    };
    outcome.map_err(|error| RegistryError::Misconfigured {
        what: format!(
            "multicast DNS does not work here (UDP port {}): {error}; in a cloud or a container, use \
             another registry",
            options.port
        ),
        source: Some(error.into()),
    })
}

fn hears_itself(port: u16, interface: Ipv4Addr) -> io::Result<()> {
    // The port is shared with all others on this machine, if they let us.
    let shared = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    shared.set_reuse_address(true)?;
    #[cfg(unix)]
    shared.set_reuse_port(true)?;
    shared.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    shared.join_multicast_v4(&GROUP, &interface)?;

    // The echo takes another port, so that nobody else hears it, and never leaves the machine.
    let echo = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    echo.join_multicast_v4(&GROUP, &interface)?;
    echo.set_multicast_ttl_v4(0)?;
    echo.set_multicast_loop_v4(true)?;
    echo.set_read_timeout(Some(ECHO))?;
    socket2::SockRef::from(&echo).set_multicast_if_v4(&interface)?;
    let said = Id::random().as_u128().to_be_bytes();
    echo.send_to(&said, SocketAddrV4::new(GROUP, echo.local_addr()?.port()))?;
    let mut heard = [0; 16];
    let (length, _) = echo.recv_from(&mut heard).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "a multicast message did not come back")
        }
        _ => error,
    })?;
    if heard[..length] != said {
        return Err(io::Error::other("another message came back than was sent"));
    }
    Ok(())
}
