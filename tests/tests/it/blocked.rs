//! A handler that blocks its thread, and what its neighbours on the same connection feel of it.
//!
//! `cargo test --release -p micro-tests --test it -- blocked --nocapture` prints how long they wait.

use std::sync::Arc;

use micro_core::identity::DevCa;
use micro_core::transport::quic::Quic;
use micro_core::transport::{Address, Transport};
use micro_tests::conformance::transport::{packed, request};
use micro_tests::lab::Lab;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::conformance::transport::Directory;

/// How long the handler blocks, in milliseconds, and how often.
const BLOCKS: u64 = 50;
const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_are_answered_while_a_handler_blocks_its_thread() {
    let directory = Directory::new();
    let ca = Arc::new(DevCa::open(&directory.0).expect("a directory of our own"));
    let transport = Quic::new(ca, "friend", vec!["lab".into()]);
    let lab = Lab::default();
    let nowhere = Address::new("quic", "127.0.0.1:0");
    let listener = transport.listen(&nowhere, Arc::new(Lab::server(&lab))).await.expect("listens");
    let connection = transport.connect(&listener.address(), "lab").await.expect("connects");
    let mut waits = Vec::new();
    for round in 0..ROUNDS + 2 {
        let (caller, mut blocking) = (Arc::clone(&connection), JoinSet::new());
        blocking.spawn(async move {
            caller.call(&request("block", packed(BLOCKS))).await.expect("answers");
        });
        let mut meanwhile = 0;
        while blocking.try_join_next().is_none() {
            let began = Instant::now();
            connection.call(&request("echo", "")).await.expect("answers");
            meanwhile += 1;
            // The first two tell that the handler is slow.
            if round >= 2 {
                waits.push(began.elapsed());
            }
        }
        assert!(round < 2 || meanwhile > 5, "only {meanwhile} neighbours were answered meanwhile");
    }
    waits.sort();
    let at = |share: usize| waits[(waits.len() - 1) * share / 1_000];
    let (p50, p999, max) = (at(500), at(999), at(1_000));
    println!(
        "{} calls beside a blocked thread: p50 {p50:?}, p99.9 {p999:?}, most {max:?}",
        waits.len()
    );
}
