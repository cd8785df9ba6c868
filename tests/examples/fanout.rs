//! Deliveries a second from one publisher to many subscribers, each a connection of its own, over QUIC with
//! mutual TLS and through everything that a program has: `taskset -c 0 cargo run --release -p micro-tests
//! --example fanout -- [bytes] [subscribers] [publishes] [rounds]`. Both processes run on one thread each.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use micro::prelude::*;
use micro_core::App;
use micro_core::config::Settings;
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
    match args.first().map(String::as_str) {
        Some("subscribe") => {
            runtime.block_on(subscribe(number(1, 100), number(2, 1), number(3, 1)))
        }
        Some("publish") => {
            runtime.block_on(publish(number(1, 64), number(2, 1), number(3, 1)));
        }
        _ => drive(number(0, 64), number(1, 100), number(2, 10_000), number(3, 5)),
    }
}

/// Runs both processes and compares their clocks by the lines that they write.
fn drive(bytes: u64, subscribers: u64, publishes: u64, rounds: u64) {
    let home = Home::new();
    let start = |role: &str, args: [u64; 3]| -> Child {
        Command::new(std::env::current_exe().expect("this program"))
            .arg(role)
            .args(args.map(|arg| arg.to_string()))
            .env("MICRO_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts")
    };
    let mut receiving = start("subscribe", [subscribers, publishes * subscribers, rounds]);
    let mut received = BufReader::new(receiving.stdout.take().expect("piped")).lines();
    let mut line = || received.next().expect("a line").expect("text");
    assert_eq!(line(), "ready");
    let mut sending = start("publish", [bytes, publishes, rounds]);
    let mut sent = BufReader::new(sending.stdout.take().expect("piped")).lines();
    assert_eq!(sent.next().expect("a line").expect("text"), "ready");
    let mut input = sending.stdin.take().expect("piped");
    for _ in 0..rounds {
        let began = Instant::now();
        writeln!(input, "go").expect("written");
        assert_eq!(line(), "done");
        let took = began.elapsed().as_secs_f64();
        let published = sent.next().expect("a line").expect("text");
        let rate = (publishes * subscribers) as f64 / took;
        println!("{bytes} B to {subscribers}: {rate:.0} deliveries/s ({published})");
    }
    drop(input);
    drop(receiving.stdin.take());
    sending.wait().expect("ends");
    receiving.wait().expect("ends");
}

fn settings() -> Settings {
    Settings::default()
}

async fn subscribe(subscribers: u64, total: u64, rounds: u64) {
    let (left, done) = (Arc::new(AtomicU64::new(total)), Arc::new(Notify::new()));
    let mut apps = Vec::new();
    for _ in 0..subscribers {
        let counter = Counter { left: Arc::clone(&left), done: Arc::clone(&done) };
        apps.push(App::new().service(counter).settings(settings()).start().await.expect("starts"));
    }
    println!("ready");
    for _ in 0..rounds {
        done.notified().await;
        left.store(total, Ordering::Relaxed);
        println!("done");
    }
    // The other side has closed by the end of the input.
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await;
}

async fn publish(bytes: u64, publishes: u64, rounds: u64) {
    let app = App::new().settings(settings()).start().await.expect("starts");
    let body = "x".repeat(bytes as usize);
    println!("ready");
    for _ in 0..rounds {
        tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await.expect("a line");
        let began = Instant::now();
        for _ in 0..publishes {
            // A full queue is the answer to a publisher that is ahead: it waits and goes on.
            while app.publisher().publish(Tick { body: body.clone() }).await.is_err() {}
        }
        println!("{:.0} publishes/s", publishes as f64 / began.elapsed().as_secs_f64());
    }
    app.shutdown().await;
}
