//! Deliveries a second from one publisher to many subscribers, each a connection of its own, over QUIC with
//! mutual TLS and through everything that a program has, on one thread: `taskset -c 0 cargo run --release
//! -p micro-tests --example fanout -- [bytes] [subscribers] [publishes] [rounds]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use micro::prelude::*;
use micro_core::App;
use micro_core::config::Settings;
use micro_core::identity::DevCa;
use micro_core::registry::{MemoryRegistry, Registry};
use micro_core::transport::quic::Quic;
use micro_tests::process::Home;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What is published.
#[event("fanout.ticks")]
pub struct Tick {
    body: String,
}

/// Counts what arrives; the last one of a round tells.
pub struct Counter {
    left: Arc<AtomicU64>,
    done: Arc<Notify>,
}

#[service(manual)]
impl Counter {
    #[subscribe(broadcast)]
    async fn count(&self, tick: Tick) {
        std::hint::black_box(&tick.body);
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.done.notify_one();
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| args.get(at).map_or(or, |arg| arg.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(measure(number(0, 64), number(1, 100), number(2, 10_000), number(3, 5)));
}

async fn measure(bytes: u64, subscribers: u64, publishes: u64, rounds: u64) {
    let home = Home::new();
    let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
    // Each with a transport of its own, so that each has a socket and a connection.
    let app = |own: &str| {
        let ca = Arc::new(DevCa::open(home.path()).expect("a directory of our own"));
        App::new()
            .settings(Settings::default())
            .registry(Arc::clone(&registry))
            .transport(Arc::new(Quic::new(ca, own, vec!["counter".into()])))
    };
    let (left, done) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let mut running = Vec::new();
    for _ in 0..subscribers {
        let counter = Counter { left: Arc::clone(&left), done: Arc::clone(&done) };
        running.push(app("counter").service(counter).start().await.expect("starts"));
    }
    let publisher = app("publisher").start().await.expect("starts");
    let body = "x".repeat(bytes as usize);
    // The first event connects to everybody.
    for (round, publishes) in (0..=rounds).zip([1].into_iter().chain(std::iter::repeat(publishes)))
    {
        left.store(publishes * subscribers, Ordering::Relaxed);
        let began = Instant::now();
        for _ in 0..publishes {
            // A full queue is the answer to a publisher that is ahead: it waits and goes on.
            while publisher.publisher().publish(Tick { body: body.clone() }).await.is_err() {}
        }
        let published = began.elapsed();
        done.notified().await;
        let took = began.elapsed();
        let rate = (publishes * subscribers) as f64 / took.as_secs_f64();
        println!(
            "{round}: {bytes} B to {subscribers}: {rate:.0} deliveries/s, published in {published:?} of {took:?}"
        );
    }
}
