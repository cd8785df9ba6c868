//! Wrong input to a process that runs: each call gets a clear error, and the next one works.

use bytes::Bytes;
use micro::{Code, Context, Incoming, Status, secs};
use micro_core::Executed;
use micro_core::client::Repeat;
use micro_core::codec::Encoding;
use micro_core::handler::Target;
use micro_core::transport::MAX_MESSAGE;
use micro_tests::fixture::{CounterClient, NumbersClient, Order, SourceClient};
use micro_tests::process::{BOUND, Connected, Home, Process};
use tokio::time::timeout;

use super::serve;

/// Calls what may not exist with what may not fit.
async fn call(app: &Connected, target: (&str, &str), json: &str) -> Result<Bytes, Status> {
    let target = Target::new(target.0.to_owned(), target.1.to_owned());
    let body = Bytes::copy_from_slice(json.as_bytes());
    let call = Incoming::outgoing(target, Context::new(secs(30)), Encoding::Json, body);
    let answer = timeout(BOUND, app.client().call(call, Repeat::default())).await;
    answer.expect("an answer").map(|reply| reply.body)
}

async fn refused(app: &Connected, target: (&str, &str), json: &str) -> Status {
    call(app, target, json).await.expect_err("refused")
}

async fn works(app: &Connected, server: &Process) {
    let counter: CounterClient = app.service();
    assert_eq!(counter.pid().await.expect("works"), server.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_answered_with_the_nearest() {
    let home = Home::new();
    let server = serve(&home, "counter,numbers").await;
    let app = home.client().await;
    let status = refused(&app, ("countr", "pid"), "null").await;
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No));
    assert!(status.message().contains("`countr`"), "{status}");
    assert!(status.message().contains("did you mean `counter`"), "{status}");
    let status = refused(&app, ("counter", "pit"), "null").await;
    assert_eq!((status.code(), status.executed()), (Code::Unimplemented, Executed::No));
    assert!(status.message().contains("did you mean `pid`"), "{status}");
    works(&app, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_the_wrong_shape_is_invalid_and_says_where() {
    let home = Home::new();
    let server = serve(&home, "counter").await;
    let app = home.client().await;
    let order = ("counter", "order");
    for (json, wanted) in [
        (r#"{"sku":"tea"}"#, "count"),
        (r#"{"count":1}"#, "sku"),
        (r#"{"sku":"tea","count":-1}"#, "column"),
        (r#"{"sku":7,"count":1}"#, "column"),
        ("[]", "struct Order"),
        ("{", "EOF"),
        ("", "EOF"),
        ("\u{0}", "column"),
    ] {
        let status = refused(&app, order, json).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{json}: {status}");
        assert!(status.message().contains(wanted), "{json}: {status}");
    }
    let status = refused(&app, ("counter", "add"), r#"{"id":1}"#).await;
    assert!(status.message().contains("ms"), "{status}");
    let deep = "[".repeat(100_000);
    let status = refused(&app, order, &deep).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let answer = call(&app, order, r#"{"sku":"tea","count":1}"#).await.expect("fits");
    assert_eq!(answer, r#"{"sku":"tea","count":1}"#);
    works(&app, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_is_an_error_on_either_way() {
    let home = Home::new();
    let server = serve(&home, "counter,source").await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let order = |bytes: usize| Order { sku: "x".repeat(bytes), count: 1 };

    let status = counter.order(order(MAX_MESSAGE)).await.expect_err("a few bytes too many");
    assert_eq!((status.code(), status.executed()), (Code::ResourceExhausted, Executed::No));
    assert!(status.message().contains(&MAX_MESSAGE.to_string()), "{status}");
    let back = counter.order(order(MAX_MESSAGE - 100)).await.expect("fits");
    assert_eq!(back.sku.len(), MAX_MESSAGE - 100);

    let status = counter.bytes(MAX_MESSAGE).await.expect_err("the reply does not fit");
    assert_eq!((status.code(), status.executed()), (Code::ResourceExhausted, Executed::Yes));
    assert_eq!(counter.bytes(MAX_MESSAGE - 100).await.expect("fits").len(), MAX_MESSAGE - 100);

    let source: SourceClient = app.service();
    let status = source.letter(2 << 20).await.expect_err("larger than an event may be");
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    source.letter(1_000).await.expect("fits");
    works(&app, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_wrong_kind_is_an_error_and_no_hang() {
    let home = Home::new();
    let server = serve(&home, "counter,numbers").await;
    let app = home.client().await;
    let status = refused(&app, ("numbers", "count"), "3").await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let numbers: NumbersClient = app.service();
    assert_eq!(numbers.sent().await.expect("works"), 0);
    works(&app, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_may_run_are_refused_and_may_go_elsewhere() {
    let home = Home::new();
    let limited = super::fixture(&home, "counter").args(["--max-in-flight", "4"]).serve().await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut held = tokio::task::JoinSet::new();
    for id in 0..4 {
        let counter = counter.clone();
        held.spawn(async move { counter.hold(id, 600_000).timeout(secs(600)).await });
    }
    limited.lines(4).await;
    let status = counter.add(5, 0).await.expect_err("four run");
    assert_eq!((status.code(), status.executed()), (Code::ResourceExhausted, Executed::No));
    let _other = serve(&home, "counter").await;
    // Refused by the one, done by the other.
    let mut done = 0;
    while done < 20 {
        match counter.add(100 + done, 0).await {
            Ok(_) => done += 1,
            Err(status) => assert_eq!(status.executed(), Executed::No, "{status}"),
        }
    }
    drop(held);
}
