//! What calls that nobody waits for any more leave behind: nothing.

use std::sync::Arc;
use std::time::Duration;

use micro_core::identity::DevCa;
use micro_core::transport::quic::Quic;
use micro_core::transport::{Address, Connection, Request, Transport};
use micro_tests::conformance::transport::request;
use micro_tests::lab::{LONG, Lab};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::conformance::transport::Directory;

/// A million, or in a debug build a tenth.
const CALLS: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
const CALLERS: usize = 64;

/// A few numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Calls, and gives the call up after a few turns of the scheduler, if it has not ended by then.
async fn give_up(connection: &dyn Connection, request: &Request, turns: u64) -> bool {
    let mut call = std::pin::pin!(connection.call(request));
    for _ in 0..turns {
        let ended = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
        if ended.is_ready() {
            return false;
        }
        yield_now().await;
    }
    true
}

async fn until(what: &str, is_true: impl Fn() -> bool) {
    let wait = async {
        while !is_true() {
            // What ends here does so by itself, and says nothing.
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(LONG, wait).await.is_ok(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_given_up_leave_nothing_behind() {
    let directory = Directory::new();
    let ca = Arc::new(DevCa::open(&directory.0).expect("a directory of our own"));
    let transport = Quic::new(ca, "friend", vec!["lab".into()]);
    let (lab, server) = (Lab::default(), Lab::server);
    let server = server(&lab);
    let nowhere = Address::new("quic", "127.0.0.1:0");
    let listener = transport.listen(&nowhere, Arc::new(server.clone())).await.expect("listens");
    let connection = transport.connect(&listener.address(), "lab").await.expect("connects");
    connection.call(&request("echo", "")).await.expect("answers");
    let metrics = Handle::current().metrics();
    let tasks = metrics.num_alive_tasks();

    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let connection = Arc::clone(&connection);
        callers.spawn(async move {
            let mut dice = Dice(caller as u64);
            let (mut given_up, count) = (0, CALLS / CALLERS);
            for _ in 0..count {
                let (method, size) = match dice.roll(100) {
                    0 => ("echo", 40_000),
                    1..40 => ("hold", 64),
                    _ => ("echo", 64),
                };
                let request = request(method, vec![7; size]);
                let turns = dice.roll(6);
                given_up += usize::from(give_up(&*connection, &request, turns).await);
            }
            given_up
        });
    }
    let given_up: usize = callers.join_all().await.into_iter().sum();
    println!("{given_up} of {CALLS} calls were given up");
    assert!(given_up > CALLS / 2, "{given_up}");

    until("handlers still run", || server.running() == 0).await;
    until("tasks are left", || metrics.num_alive_tasks() <= tasks).await;
    let left = || format!("{connection:?}");
    let nothing = || ["waiting: 0", "streams: 0", "queued: 0"].iter().all(|n| left().contains(n));
    until(&format!("something is left: {}", left()), nothing).await;
    connection.call(&request("echo", "")).await.expect("answers still");
    let counts = lab.counts();
    assert!(counts.dropped > 0, "{counts:?}");
}
