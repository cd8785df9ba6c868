//! One of two instances is killed without a word while calls are under way.

use micro_tests::fixture::CounterClient;
use micro_tests::process::Home;

use super::load::{Load, audit, failed};
use super::{counts, serve};

const CALLERS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn idempotent_calls_all_succeed() {
    let home = Home::new();
    let (mut one, other) = (serve(&home, "counter").await, serve(&home, "counter").await);
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut load = Load::start(CALLERS, move |id| {
        let counter = counter.clone();
        async move { counter.look(id, 1).await }
    });
    load.more(500).await;
    one.lines(1).await;
    other.lines(1).await;
    one.kill();
    load.more(1_000).await;
    let called = load.stop().await;
    println!("{} calls", called.len());
    assert_eq!(failed(&called), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_calls_fail_only_with_a_status_that_says_whether_they_ran() {
    let home = Home::new();
    let (mut one, other) = (serve(&home, "counter").await, serve(&home, "counter").await);
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut load = Load::start(CALLERS, move |id| {
        let counter = counter.clone();
        async move { counter.add(id, 2).await }
    });
    load.more(500).await;
    one.lines(1).await;
    other.lines(1).await;
    one.kill();
    load.more(1_000).await;
    let called = load.stop().await;

    other.terminate();
    let (killed, stopped) = (one.finished().await, other.finished().await);
    let ran = counts(killed.out.iter().chain(&stopped.out), "add");
    let failed = audit(&called, &ran);
    println!("{} calls, {failed} failed", called.len());
    assert!(failed <= CALLERS, "{failed}: more than were under way");
}
