//! zenoh as a peer, for fan-out only: through a router, which is the server half, or from peer to peer,
//! where the publisher listens and the server half has nothing to do.
//!
//! All publishers and subscribers are in the client half, each with a session of its own. zenoh refuses
//! tokio's current-thread runtime, and has five runtimes of its own besides: whatever `--runtime` says,
//! what calls it here is on a sixth with one thread. Pinned to one core they all share it.

mod session;

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Error, Result};
use kit::Tally;
use tokio::net::TcpListener;
use zenoh::Session;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;

use session::{Place, Wire};

/// What fan-out publishes to.
const NEWS: &str = "news";

struct Zenoh;

impl kit::Peer for Zenoh {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("router-quic", "through a router over QUIC"),
        ("router-tcp", "through a router over plain TCP"),
        ("peer-quic", "from the publisher straight to the subscribers over QUIC"),
        ("peer-tcp", "from the publisher straight to the subscribers over plain TCP"),
    ];

    async fn serve(server: kit::Server) -> Result<()> {
        let threads = Threads::new()?;
        let (routed, wire) = parts(&server.variant);
        let address = free_port(wire).await?;
        if routed {
            threads.run(keep_open(Place::Router, wire, address)).await?;
        }
        server.ready(address)?;
        std::future::pending().await
    }

    async fn client(client: kit::Client) -> Result<()> {
        let threads = &Threads::new()?;
        let (routed, wire) = parts(&client.variant);
        let (place, address) = match routed {
            true => (Place::Client, client.address),
            false => (Place::Peer, free_port(wire).await?),
        };
        let session = threads.run(keep_open(place, wire, address)).await?;
        let publisher = Arc::new(threads.run(publisher(session)).await?);
        let subscribe = |tally| threads.run(subscribe(wire, address, tally));
        let publish = |count, size| threads.run(publish(publisher.clone(), count, size));
        let outcome = client.fan_out(subscribe, publish).await;
        // Undeclaring blocks the thread, which is one that zenoh refuses.
        std::mem::forget(publisher);
        outcome
    }
}

/// The runtime that zenoh is called on. Never dropped: it ends with the process.
struct Threads(&'static tokio::runtime::Runtime);

impl Threads {
    fn new() -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self(Box::leak(Box::new(runtime))))
    }

    async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.0.spawn(future).await?
    }
}

fn parts(variant: &str) -> (bool, Wire) {
    let wire = if variant.ends_with("quic") { Wire::Quic } else { Wire::Tcp };
    (variant.starts_with("router"), wire)
}

/// Closed again for zenoh, which does not tell which port it took.
async fn free_port(wire: Wire) -> Result<SocketAddr> {
    Ok(match wire {
        Wire::Quic => tokio::net::UdpSocket::bind("127.0.0.1:0").await?.local_addr()?,
        Wire::Tcp => TcpListener::bind("127.0.0.1:0").await?.local_addr()?,
    })
}

/// A session that ends with the process: closing a hundred of them one by one would take seconds.
async fn keep_open(place: Place, wire: Wire, address: SocketAddr) -> Result<&'static Session> {
    let session = session::open(place, wire, address).await?;
    Ok(Box::leak(Box::new(session)))
}

async fn publisher(session: &'static Session) -> Result<Publisher<'static>> {
    session
        .declare_publisher(NEWS)
        // Waits for those who are slow; what is dropped would not be counted as delivered.
        .congestion_control(CongestionControl::Block)
        .await
        .map_err(Error::from_boxed)
}

async fn subscribe(wire: Wire, address: SocketAddr, tally: Tally) -> Result<()> {
    let session = keep_open(Place::Client, wire, address).await?;
    // In a callback, which is zenoh's fastest way to receive, and for as long as the session is open.
    session
        .declare_subscriber(NEWS)
        .callback(move |_| tally.add(1))
        .background()
        .await
        .map_err(Error::from_boxed)
}

async fn publish(publisher: Arc<Publisher<'static>>, count: u64, size: usize) -> Result<()> {
    let payload = kit::payload(size);
    for _ in 0..count {
        publisher.put(payload.clone()).await.map_err(Error::from_boxed)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    kit::main::<Zenoh>()
}
