//! The UDP socket: large buffers, and no death by a passing error.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{Sleep, sleep};

use super::tuning;
use crate::status::Result;
use crate::sync::lock;
use crate::tasks;
use crate::transport::network::not_bound;

/// The system's default of 208 KiB loses packets of bursts: 0.28x at 64 KiB bodies, 16 in flight.
const BUFFER: usize = 4 << 20;

/// An endpoint on `local`; a server's when it has a configuration.
pub(super) fn endpoint(
    local: SocketAddr,
    server: Option<quinn::ServerConfig>,
) -> Result<quinn::Endpoint> {
    let socket = bind(local).map_err(|error| not_bound(local, &error))?;
    let socket = Tolerant::new(TokioRuntime.wrap_udp_socket(socket)?);
    let runtime = Arc::new(Driving);
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

/// A socket that outlives errors of receiving: quinn ends the endpoint, and every call with it, at the
/// first that is not ECONNRESET. It rests after each, longer and longer, so that an error that stays
/// costs next to nothing, and one that passes costs a millisecond.
struct Tolerant {
    socket: Arc<dyn AsyncUdpSocket>,
    /// Errors since something was received.
    errors: AtomicU32,
    resting: Mutex<Option<Pin<Box<Sleep>>>>,
}

/// After the first error; twice as long after each further one, up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_secs(1);

impl Tolerant {
    fn new(socket: Arc<dyn AsyncUdpSocket>) -> Self {
        Self { socket, errors: AtomicU32::new(0), resting: Mutex::default() }
    }

    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut resting = lock(&self.resting);
        if let Some(rest) = &mut *resting {
            ready!(Future::poll(rest.as_mut(), cx));
            *resting = None;
        }
        Poll::Ready(())
    }

    fn failed(&self, error: &io::Error) {
        let errors = self.errors.fetch_add(1, Ordering::Relaxed);
        let rest = FIRST_REST.saturating_mul(1 << errors.min(16)).min(LONGEST_REST);
        if (errors + 1).is_power_of_two() {
            tracing::warn!(%error, errors = errors + 1, ?rest, "receiving failed; it is tried again");
        }
        *lock(&self.resting) = Some(Box::pin(sleep(rest)));
    }
}

impl AsyncUdpSocket for Tolerant {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)?;
        SENT.set(SENT.get().saturating_add(transmit.contents.len()));
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let has_failed = self.errors.load(Ordering::Relaxed) > 0;
            if has_failed {
                ready!(self.poll_rest(cx));
            }
            match ready!(self.socket.poll_recv(cx, bufs, meta)) {
                Ok(count) => {
                    if has_failed {
                        self.errors.store(0, Ordering::Relaxed);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        match SENT.get() {
            sent if sent < ALONE => 1,
            _ => self.socket.max_transmit_segments(),
        }
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// A connection sends its first bytes, the handshake above all, a packet a time: for the first time that it
/// sends several at once quinn makes room for ten, and keeps that for the life of the connection, however
/// idle it is.
const ALONE: usize = 64 << 10;

thread_local! {
    /// What the connection that is driven by this thread now has sent.
    static SENT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Tokio, and what each connection has sent.
#[derive(Debug)]
struct Driving;

impl Runtime for Driving {
    fn new_timer(&self, at: std::time::Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, mut driver: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut sent = 0;
        tasks::spawn(poll_fn(move |cx| {
            let around = SENT.replace(sent);
            let poll = driver.as_mut().poll(cx);
            sent = SENT.replace(around);
            poll
        }));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> std::time::Instant {
        TokioRuntime.now()
    }
}

impl fmt::Debug for Tolerant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tolerant").field("errors", &self.errors).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to receive as often as it is told to, then has one packet each time.
    #[derive(Debug)]
    struct Failing {
        left: AtomicU32,
        polled: AtomicU32,
    }

    impl AsyncUdpSocket for Failing {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            unimplemented!("nothing is sent")
        }

        fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
            Ok(())
        }

        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            _: &mut [IoSliceMut<'_>],
            _: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            self.polled.fetch_add(1, Ordering::Relaxed);
            let fails = self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            Poll::Ready(match fails {
                Ok(_) => Err(io::Error::other("broken")),
                Err(_) => Ok(1),
            })
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }
    }

    async fn receive(socket: &Tolerant) -> usize {
        let receive = std::future::poll_fn(|cx| socket.poll_recv(cx, &mut [], &mut []));
        receive.await.expect("no error comes out")
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_stays_is_met_once_a_second() {
        let inner = Arc::new(Failing { left: AtomicU32::new(u32::MAX), polled: AtomicU32::new(0) });
        let socket = Tolerant::new(inner.clone());
        let waited = tokio::time::timeout(Duration::from_secs(60), receive(&socket)).await;
        assert!(waited.is_err());
        // Ten while the rests grow to a second, then one each second.
        let polled = inner.polled.load(Ordering::Relaxed);
        assert!((60..=71).contains(&polled), "{polled}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_passes_costs_a_moment() {
        let inner = Arc::new(Failing { left: AtomicU32::new(1), polled: AtomicU32::new(0) });
        let socket = Tolerant::new(inner.clone());
        let began = tokio::time::Instant::now();
        assert_eq!(receive(&socket).await, 1);
        assert_eq!(began.elapsed(), FIRST_REST);
        assert_eq!(receive(&socket).await, 1);
        assert_eq!((began.elapsed(), inner.polled.load(Ordering::Relaxed)), (FIRST_REST, 3));
    }
}
