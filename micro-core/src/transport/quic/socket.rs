//! The UDP socket: large buffers, and no death by a passing error.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};

use super::tuning;
use crate::status::{Result, Status};

/// The system's default of 208 KiB loses packets of bursts: 0.28x at 64 KiB bodies, 16 in flight.
const BUFFER: usize = 4 << 20;

/// An endpoint on `local`; a server's when it has a configuration.
pub(super) fn endpoint(
    local: SocketAddr,
    server: Option<quinn::ServerConfig>,
) -> Result<quinn::Endpoint> {
    let socket = bind(local).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; another process listens there: choose another address, or port 0 for a free one"
            }
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            _ => "",
        };
        Status::unavailable(format!("cannot listen on {local}: {error}{hint}"))
    })?;
    let socket =
        Tolerant { socket: TokioRuntime.wrap_udp_socket(socket)?, errors: AtomicU64::new(0) };
    let runtime = Arc::new(TokioRuntime);
    let config = tuning::endpoint();
    Ok(quinn::Endpoint::new_with_abstract_socket(config, server, Arc::new(socket), runtime)?)
}

fn bind(local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // Best effort: what was given is looked at below.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    // Linux answers twice what it granted: it counts its own bookkeeping.
    let counted = if cfg!(target_os = "linux") { 2 } else { 1 };
    let given = socket.recv_buffer_size()?.min(socket.send_buffer_size()?) / counted;
    if given < BUFFER {
        static WARNED: Once = Once::new();
        WARNED.call_once(|| {
            tracing::warn!(
                bytes = given,
                wanted = BUFFER,
                "the system gives small UDP buffers; bursts may lose packets \
                 (raise net.core.rmem_max and net.core.wmem_max)"
            );
        });
    }
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    Ok(socket.into())
}

/// A socket that counts errors of receiving and goes on: quinn ends the endpoint, and every call with
/// it, at the first error that is not ECONNRESET.
struct Tolerant {
    socket: Arc<dyn AsyncUdpSocket>,
    errors: AtomicU64,
}

impl AsyncUdpSocket for Tolerant {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        match self.socket.poll_recv(cx, bufs, meta) {
            Poll::Ready(Err(error)) => {
                let count = self.errors.fetch_add(1, Ordering::Relaxed);
                if count.is_power_of_two() {
                    tracing::warn!(%error, count, "receiving failed; going on");
                }
                // Polled again soon, after other tasks had their turn.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            other => other,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

impl fmt::Debug for Tolerant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tolerant").field("errors", &self.errors).finish_non_exhaustive()
    }
}
