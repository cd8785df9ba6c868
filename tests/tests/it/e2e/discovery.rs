//! Processes find each other by the directory of their user.

use micro_tests::fixture::{CounterClient, FirstClient};
use micro_tests::process::{BOUND, Home};
use tokio::time::{Instant, timeout};

use super::serve;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_as_soon_as_it_says_that_it_listens() {
    let home = Home::new();
    let service = serve(&home, "counter").await;
    let said = Instant::now();
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let pid = counter.pid().await.expect("the first call finds it");
    println!("found, connected and called {:?} after it said that it listens", said.elapsed());
    assert_eq!(pid, service.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_before_a_service_was_there_finds_it_when_it_comes() {
    let home = Home::new();
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let nobody = counter.pid().await.expect_err("nobody is there");
    assert!(nobody.message().contains("`counter`"), "{nobody}");

    let service = serve(&home, "counter").await;
    let said = Instant::now();
    let pid = counter.pid().await.expect("it is there now");
    println!("found and called {:?} after it said that it listens", said.elapsed());
    assert_eq!(pid, service.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_killed_is_found_no_more_and_its_successor_is() {
    let home = Home::new();
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut before = serve(&home, "counter").await;
    assert_eq!(counter.pid().await.expect("the first"), before.pid());
    let old = before.pid();
    before.kill();
    before.finished().await;

    let after = serve(&home, "counter").await;
    let answered = timeout(BOUND, async { counter.pid().await.expect("the second") }).await;
    let answered = answered.expect("in time");
    assert_eq!(answered, after.pid());
    assert_ne!(answered, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_call_each_other_whichever_starts_first() {
    let home = Home::new();
    let _first = serve(&home, "first").await;
    let _second = serve(&home, "second").await;
    let _third = serve(&home, "third").await;
    let app = home.client().await;
    let first: FirstClient = app.service();
    let ids = first.ids().await.expect("three hops");
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "one correlation id: {ids:?}");
}
