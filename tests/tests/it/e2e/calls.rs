//! What one call may do to the process and to other calls: nothing.

use std::time::Duration;

use micro::{Code, millis, secs};
use micro_core::Executed;
use micro_tests::fixture::{CounterClient, FirstClient};
use micro_tests::process::Home;
use tokio::task::JoinSet;

use super::serve;

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_internal_for_its_call_only() {
    let home = Home::new();
    let server = serve(&home, "counter").await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut beside = JoinSet::new();
    for id in 0..20 {
        let counter = counter.clone();
        beside.spawn(async move { counter.hold(id, 500).await });
    }
    server.lines(20).await;
    for _ in 0..20 {
        let status = counter.panic("hunter2".into()).await.expect_err("it panics");
        assert_eq!((status.code(), status.executed()), (Code::Internal, Executed::Yes));
        assert!(!status.message().contains("hunter2"), "{status}");
        let id = status.correlation().to_string();
        let logged = server.error_line(|line| line.contains(&id)).await;
        assert!(
            logged.contains("panicked on purpose: hunter2"),
            "the cause is in the log: {logged}"
        );
    }
    for call in beside.join_all().await {
        call.expect("beside the panics");
    }
    assert_eq!(counter.pid().await.expect("still there"), server.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_stops_when_its_caller_gives_up() {
    let home = Home::new();
    let server = serve(&home, "counter").await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut call = JoinSet::new();
    call.spawn(async move { counter.hold(7, 600_000).timeout(secs(600)).await });
    server.line(|line| line == "begin 7").await;
    call.shutdown().await;
    server.line(|line| line == "dropped 7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_stop_when_the_process_of_their_caller_is_killed() {
    let home = Home::new();
    let third = serve(&home, "third").await;
    let second = serve(&home, "second").await;
    let mut first = serve(&home, "first").await;
    let app = home.client().await;
    let client: FirstClient = app.service();
    let mut call = JoinSet::new();
    call.spawn(async move { client.hang().timeout(secs(600)).await });
    third.line(|line| line == "begin third").await;
    first.kill();
    second.line(|line| line == "dropped second").await;
    third.line(|line| line == "dropped third").await;
    let status = call.join_next().await.expect("one").expect("no panic").expect_err("killed");
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::Maybe));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_left_shrinks_from_process_to_process() {
    let home = Home::new();
    let _third = serve(&home, "third").await;
    let _second = serve(&home, "second").await;
    let _first = serve(&home, "first").await;
    let app = home.client().await;
    let first: FirstClient = app.service();
    let left = first.left().timeout(secs(40)).await.expect("three hops");
    println!("{left:?} us left of 40 s");
    assert_eq!(left.len(), 3);
    assert!(left[0] < 40_000_000);
    assert!(left[0] > left[1] && left[1] > left[2], "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_every_hop_of_a_call() {
    let home = Home::new();
    let third = serve(&home, "third").await;
    let second = serve(&home, "second").await;
    let first = serve(&home, "first").await;
    let app = home.client().await;
    let client: FirstClient = app.service();
    client.ids().await.expect("all are connected");
    let status = client.hang().timeout(secs(2)).await.expect_err("nobody answers");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_ne!(status.executed(), Executed::No, "it has run");
    first.line(|line| line == "dropped first").await;
    second.line(|line| line == "dropped second").await;
    third.line(|line| line == "dropped third").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_deadline_of_its_own_has_one() {
    let home = Home::new();
    let server = serve(&home, "counter").await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let status = counter.hold(1, 600_000).await.expect_err("the default is 5 s");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    server.line(|line| line == "dropped 1").await;
    let short: Duration = millis(1);
    let status = counter.add(2, 60_000).timeout(short).await.expect_err("no time");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

/// What a client may have been built from before `Counter` became what it is.
mod before {
    use micro::prelude::*;

    #[message]
    #[derive(Debug)]
    pub struct Order {
        pub sku: String,
        pub count: String,
    }

    #[service(name = "counter")]
    pub trait Counter {
        #[handler(idempotent)]
        async fn order(&self, order: Order) -> Order;
        #[handler(idempotent)]
        async fn pid(&self) -> u64;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_contract_fails_where_it_differs_and_says_how() {
    let home = Home::new();
    let server = serve(&home, "counter").await;
    let app = home.client().await;
    let counter: before::CounterClient = app.service();
    let order = || before::Order { sku: "mug".into(), count: "two".into() };
    // The first may be on its way before the server has said what it is.
    counter.order(order()).await.expect_err("is not read");
    let status = counter.order(order()).await.expect_err("does not fit");
    assert_eq!((status.code(), status.executed()), (Code::FailedPrecondition, Executed::No));
    let differs = "`counter.order` differs between this client and the server: `request.count`: \
                   this client sends a string, the server takes a whole number from 0 to 4294967295";
    assert!(status.message().starts_with(differs), "{status}");
    // Wider than what the server sends, so it fits.
    assert_eq!(counter.pid().await.expect("fits"), u64::from(server.pid()));
}
