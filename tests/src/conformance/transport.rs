//! What every transport does, with a real server behind it.
//!
//! `transport_conformance!(name: fixture)` makes a module with a test per behaviour.

#![expect(missing_docs, reason = "the name of a case says what it checks")]

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use micro_core::codec::{Encoding, decode, encode};
use micro_core::handler::Target;
use micro_core::id::Id;
use micro_core::service::Kind;
use micro_core::stream::{ItemSink, Items, items};
use micro_core::transport::{Address, Connection, Listener, MAX_MESSAGE, Request, Transport};
use micro_core::{Code, Executed, Metadata, Outcome, Result, Status, Wire};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::lab::{DESCRIPTOR, LONG, Lab};

/// Makes a module of tests for a backend.
#[macro_export]
macro_rules! transport_conformance {
    ($backend:ident: $fixture:expr) => {
        $crate::transport_conformance! {
            @all $backend, $fixture,
            a_blocking_handler_does_not_hold_up_its_neighbours_for_ever,
            a_burst_of_ten_thousand_items_arrives_exact_and_in_order,
            a_call_of_the_wrong_kind_is_refused,
            a_dropped_bidirectional_call_cancels_its_handler,
            a_dropped_call_cancels_its_handler,
            a_dropped_client_stream_cancels_its_handler,
            a_dropped_large_call_cancels_its_handler,
            a_dropped_server_stream_cancels_its_handler,
            a_large_item_arrives_and_a_larger_one_is_an_error,
            a_panic_is_internal_and_ends_nothing_else,
            a_reply_comes_back_with_its_metadata,
            a_server_that_is_gone_ends_its_calls_and_can_come_back,
            a_slow_reader_holds_the_writer_back,
            an_error_arrives_whole,
            an_idle_drain_returns_early,
            an_unknown_name_is_unimplemented_with_the_nearest,
            bidirectional_items_go_to_and_fro,
            both_encodings_reach_the_handler,
            calls_above_the_last_one_taken_did_not_run,
            calls_in_flight_end_in_a_drain,
            client_items_are_summed_up,
            drain_respects_its_deadline,
            messages_up_to_the_limit_arrive_and_one_byte_more_is_an_error,
            metadata_does_not_leak_into_other_calls,
            nobody_at_the_address_is_unavailable_and_did_not_run,
            the_deadline_ends_a_stream_on_the_server,
            the_deadline_ends_the_handler,
            the_time_left_travels,
            thousand_calls_at_once_get_their_own_replies,
        }
    };
    (@all $backend:ident, $fixture:expr, $($case:ident,)*) => {
        mod $backend {
            use super::*;

            $($crate::transport_conformance! { @one $fixture, $case })*
        }
    };
    (@one $fixture:expr, $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let fixture = $fixture;
            $crate::conformance::transport::within(
                $crate::conformance::transport::$case(fixture)
            ).await
        }
    };
}

/// Ends a case that hangs.
pub async fn within(case: impl Future<Output = ()>) {
    timeout(3 * LONG, case).await.expect("the case hangs");
}

/// A transport that calls itself, as the service `lab`.
pub struct Fixture {
    transport: Arc<dyn Transport>,
    _kept: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    pub fn new(transport: impl Transport) -> Self {
        Self { transport: Arc::new(transport), _kept: Box::new(()) }
    }

    /// Keeps something as long as the fixture.
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Box::new(kept), ..self }
    }

    async fn lab(self) -> Bench {
        let lab = Lab::default();
        let nowhere = Address::new(self.transport.scheme(), "127.0.0.1:0");
        let dispatch = Arc::new(lab.server());
        let listener = self.transport.listen(&nowhere, dispatch).await.expect("listens");
        let address = listener.address();
        let connection = self.transport.connect(&address, "lab").await.expect("connects");
        Bench { fixture: self, lab, listener: Arc::from(listener), connection }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transport.fmt(f)
    }
}

/// A lab, and a connection to it.
struct Bench {
    fixture: Fixture,
    lab: Lab,
    listener: Arc<dyn Listener>,
    connection: Arc<dyn Connection>,
}

pub fn request(method: &'static str, body: impl Into<Bytes>) -> Request {
    let found = DESCRIPTOR.methods.iter().find(|m| m.name == method).expect("a handler");
    let mut target = Target::new("lab", method);
    target.kind = found.kind;
    Request {
        target,
        encoding: Encoding::MessagePack,
        now: Instant::now(),
        deadline: Instant::now() + LONG,
        correlation: Id::random(),
        repeated: false,
        metadata: Metadata::new(),
        body: body.into(),
    }
}

/// A value as a message.
pub fn packed(value: impl Wire) -> Bytes {
    encode(Encoding::MessagePack, &value).expect("encodes")
}

fn unpacked<T: Wire>(bytes: &[u8]) -> T {
    decode(Encoding::MessagePack, bytes).expect("decodes")
}

impl Bench {
    async fn call(&self, method: &'static str, body: impl Into<Bytes>) -> Outcome {
        self.connection.call(&request(method, body)).await
    }

    /// Calls in a task of its own.
    fn spawn(&self, request: Request) -> tokio::task::JoinHandle<Outcome> {
        let connection = Arc::clone(&self.connection);
        spawn(async move { connection.call(&request).await })
    }

    async fn open(&self, request: Request) -> (ItemSink, Items) {
        let (sink, outbound) = items();
        let outbound = request.target.kind.has_inbound().then_some(outbound);
        (sink, self.connection.open(request, outbound).await.expect("opens"))
    }

    /// Asserts that the connection still works.
    async fn still_answers(&self) {
        assert_eq!(self.call("echo", "still").await.expect("answers").body, "still");
    }
}

fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "callers beside each other")]
    tokio::spawn(future)
}

async fn ended<T>(task: tokio::task::JoinHandle<T>) -> T {
    timeout(LONG, task).await.expect("ends").expect("does not panic")
}

async fn next(items: &mut Items) -> Option<Result<Bytes>> {
    timeout(LONG, items.next()).await.expect("an item or the end")
}

fn assert_status(outcome: Outcome, code: Code, executed: Executed) -> Status {
    let status = outcome.expect_err("an error");
    assert_eq!((status.code(), status.executed()), (code, executed), "{status}");
    status
}

pub async fn a_reply_comes_back_with_its_metadata(fixture: Fixture) {
    let bench = fixture.lab().await;
    let mut request = request("echo", "hello");
    request.metadata.insert("tenant", "acme").expect("valid");
    let reply = bench.connection.call(&request).await.expect("answers");
    assert_eq!(reply.body, "hello");
    assert_eq!(reply.metadata.get("tenant"), Some("acme"));
    assert_eq!(bench.call("echo", "").await.expect("answers").body, "");
    assert_eq!(bench.connection.peer().service.as_deref(), Some("lab"));
}

pub async fn an_error_arrives_whole(fixture: Fixture) {
    let bench = fixture.lab().await;
    for size in [0, 40_000] {
        let request = request("fail", vec![1; size]);
        let correlation = request.correlation;
        let outcome = bench.connection.call(&request).await;
        let status = assert_status(outcome, Code::AlreadyExists, Executed::Yes);
        assert_eq!(status.message(), "the shelf is full");
        assert_eq!(status.correlation(), correlation);
        let fault = status.fault_body().expect("a fault");
        assert_eq!((fault.name.as_str(), &fault.bytes[..]), ("Shelf", &b"full"[..]));
    }
}

pub async fn an_unknown_name_is_unimplemented_with_the_nearest(fixture: Fixture) {
    let bench = fixture.lab().await;
    for (service, method, near) in [("lap", "echo", "`lab`"), ("lab", "ecko", "`echo`")] {
        for size in [0, 40_000] {
            let mut request = request("echo", vec![1; size]);
            let correlation = request.correlation;
            request.target = Target::new(service, method);
            let outcome = bench.connection.call(&request).await;
            let status = assert_status(outcome, Code::Unimplemented, Executed::No);
            assert!(status.message().contains(&format!("did you mean {near}")), "{status}");
            assert_eq!(status.correlation(), correlation);
        }
    }
    bench.still_answers().await;
}

pub async fn a_call_of_the_wrong_kind_is_refused(fixture: Fixture) {
    let bench = fixture.lab().await;
    let mut wrong = request("count", packed((1u64, 0usize)));
    wrong.target.kind = Kind::Unary;
    let outcome = bench.connection.call(&wrong).await;
    assert_status(outcome, Code::InvalidArgument, Executed::No);
    let mut wrong = request("echo", "");
    wrong.target.kind = Kind::ServerStream;
    let status = match bench.connection.open(wrong, None).await {
        Err(status) => status,
        Ok(mut items) => next(&mut items).await.expect("an end").expect_err("an error"),
    };
    assert_eq!((status.code(), status.executed()), (Code::InvalidArgument, Executed::No));
    assert_eq!(bench.lab.counts().started, 0);
}

pub async fn metadata_does_not_leak_into_other_calls(fixture: Fixture) {
    let bench = fixture.lab().await;
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let mut request = request("echo", "");
        if n % 2 == 0 {
            request.metadata.insert(format!("key-{n}"), n.to_string()).expect("valid");
        }
        let connection = Arc::clone(&bench.connection);
        calls.spawn(async move { (n, connection.call(&request).await.expect("answers")) });
    }
    while let Some(call) = calls.join_next().await {
        let (n, reply) = call.expect("no panic");
        let expected = if n % 2 == 0 { vec![(format!("key-{n}"), n.to_string())] } else { vec![] };
        let found = reply.metadata.iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

pub async fn both_encodings_reach_the_handler(fixture: Fixture) {
    let bench = fixture.lab().await;
    for encoding in [Encoding::MessagePack, Encoding::Json] {
        let body = encode(encoding, &10usize).expect("encodes");
        let reply = bench.connection.call(&Request { encoding, ..request("fill", body) }).await;
        assert_eq!(reply.expect("answers").body.len(), 10);
        let left = Request { encoding, ..request("left", "") };
        let reply = bench.connection.call(&left).await.expect("answers");
        assert!(decode::<u64>(encoding, &reply.body).expect("decodes") > 0);
        let failed = bench.connection.call(&Request { encoding, ..request("fail", "") }).await;
        let status = failed.expect_err("fails");
        assert_eq!(status.fault_body().expect("a fault").encoding, encoding as u8);
    }
    let wrong = bench.connection.call(&request("fill", "{}")).await;
    assert_status(wrong, Code::InvalidArgument, Executed::Yes);
}

pub async fn the_time_left_travels(fixture: Fixture) {
    let bench = fixture.lab().await;
    for size in [0, 40_000] {
        let mut request = request("left", vec![1; size]);
        request.deadline = Instant::now() + Duration::from_secs(7);
        let left: u64 = unpacked(&bench.connection.call(&request).await.expect("answers").body);
        assert!((1_000..=7_000).contains(&left), "{left}");
    }
    let mut late = request("echo", "");
    late.deadline = late.now;
    let started = bench.lab.counts().started;
    assert_status(bench.connection.call(&late).await, Code::DeadlineExceeded, Executed::No);
    assert_eq!(bench.lab.counts().started, started);
}

pub async fn the_deadline_ends_the_handler(fixture: Fixture) {
    let bench = fixture.lab().await;
    for (n, size) in [0, 40_000].into_iter().enumerate() {
        let mut request = request("hold", vec![1; size]);
        request.deadline = Instant::now() + Duration::from_millis(100);
        let outcome = timeout(LONG, bench.connection.call(&request)).await.expect("ends");
        assert_status(outcome, Code::DeadlineExceeded, Executed::Maybe);
        bench.lab.until(|counts| counts.dropped == n + 1).await;
    }
    bench.still_answers().await;
}

pub async fn the_deadline_ends_a_stream_on_the_server(fixture: Fixture) {
    let bench = fixture.lab().await;
    let mut request = request("hold_items", "");
    request.deadline = Instant::now() + Duration::from_millis(200);
    let (_, mut items) = bench.open(request).await;
    assert_eq!(unpacked::<u64>(&next(&mut items).await.expect("one").expect("item")), 1);
    let status = next(&mut items).await.expect("an end").expect_err("an error");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(next(&mut items).await.is_none());
    bench.lab.until(|counts| counts.dropped == 1).await;
}

async fn dropped_call(fixture: Fixture, size: usize) {
    let bench = fixture.lab().await;
    let call = bench.spawn(request("hold", vec![1; size]));
    bench.lab.until(|counts| counts.started == 1).await;
    call.abort();
    bench.lab.until(|counts| counts.dropped == 1).await;
    bench.still_answers().await;
}

pub async fn a_dropped_call_cancels_its_handler(fixture: Fixture) {
    dropped_call(fixture, 0).await;
}

pub async fn a_dropped_large_call_cancels_its_handler(fixture: Fixture) {
    dropped_call(fixture, 1 << 20).await;
}

/// Opens a call that holds, after its first item, and drops it.
async fn dropped_stream(fixture: Fixture, method: &'static str) {
    let bench = fixture.lab().await;
    let (sink, mut items) = bench.open(request(method, "")).await;
    if request(method, "").target.kind.has_inbound() {
        sink.send(packed(1u64)).await.expect("takes items");
    }
    if method != "hold_sum" {
        next(&mut items).await.expect("one").expect("item");
    }
    bench.lab.until(|counts| counts.started == 1).await;
    drop(items);
    bench.lab.until(|counts| counts.dropped == 1).await;
    bench.still_answers().await;
}

pub async fn a_dropped_server_stream_cancels_its_handler(fixture: Fixture) {
    dropped_stream(fixture, "hold_items").await;
}

pub async fn a_dropped_client_stream_cancels_its_handler(fixture: Fixture) {
    dropped_stream(fixture, "hold_sum").await;
}

pub async fn a_dropped_bidirectional_call_cancels_its_handler(fixture: Fixture) {
    dropped_stream(fixture, "hold_chat").await;
}

pub async fn thousand_calls_at_once_get_their_own_replies(fixture: Fixture) {
    let bench = fixture.lab().await;
    let mut held = JoinSet::new();
    // More than may wait on one connection would be refused.
    for n in 0..1_000u64 {
        let connection = Arc::clone(&bench.connection);
        let method = if n % 2 == 0 { "hold" } else { "echo" };
        held.spawn(async move { (n, connection.call(&request(method, packed(n))).await) });
    }
    bench.lab.until(|counts| counts.started == 1_000).await;
    bench.lab.release(500);
    while let Some(call) = held.join_next().await {
        let (n, reply) = call.expect("no panic");
        assert_eq!(unpacked::<u64>(&reply.expect("answers").body), n);
    }
}

pub async fn a_burst_of_ten_thousand_items_arrives_exact_and_in_order(fixture: Fixture) {
    let bench = fixture.lab().await;
    let (_, mut items) = bench.open(request("count", packed((10_000u64, 3usize)))).await;
    for n in 0..10_000u64 {
        let item = next(&mut items).await.expect("more").expect("item");
        assert_eq!(unpacked::<(u64, String)>(&item), (n, "xxx".to_owned()));
    }
    assert!(next(&mut items).await.is_none());
}

pub async fn a_slow_reader_holds_the_writer_back(fixture: Fixture) {
    const SIZE: usize = 16 * 1024;
    let bench = fixture.lab().await;
    let (_, mut items) = bench.open(request("count", packed((100_000u64, SIZE)))).await;
    next(&mut items).await.expect("one").expect("item");
    // Only time can show that nothing happens: in this much a free writer sends far more.
    let most = 1_500;
    let overrun = timeout(Duration::from_millis(300), bench.lab.until(|c| c.sent > most)).await;
    assert!(overrun.is_err(), "{:?}", bench.lab.counts());
    for n in 1..2 * most as u64 {
        let item = next(&mut items).await.expect("more").expect("item");
        assert_eq!(unpacked::<(u64, String)>(&item).0, n);
    }
    drop(items);
    bench.lab.until(|counts| counts.dropped == 1).await;
}

pub async fn bidirectional_items_go_to_and_fro(fixture: Fixture) {
    let bench = fixture.lab().await;
    let (sink, mut items) = bench.open(request("chat", "")).await;
    for n in 0..1_000u64 {
        sink.send(packed(n)).await.expect("takes items");
        assert_eq!(unpacked::<u64>(&next(&mut items).await.expect("one").expect("item")), n);
    }
    drop(sink);
    assert!(next(&mut items).await.is_none());
    assert_eq!(bench.lab.counts().dropped, 0);
}

pub async fn client_items_are_summed_up(fixture: Fixture) {
    let bench = fixture.lab().await;
    let (sink, mut items) = bench.open(request("sum", "")).await;
    for n in 0..10_000u64 {
        sink.send(packed(n)).await.expect("takes items");
    }
    drop(sink);
    let sum = next(&mut items).await.expect("a reply").expect("a sum");
    assert_eq!(unpacked::<u64>(&sum), 49_995_000);
    assert!(next(&mut items).await.is_none());
}

const SIZES: [usize; 5] = [31 << 10, 32 << 10, 33 << 10, 1 << 20, MAX_MESSAGE];

pub async fn messages_up_to_the_limit_arrive_and_one_byte_more_is_an_error(fixture: Fixture) {
    let bench = fixture.lab().await;
    for size in SIZES {
        let body: Bytes = (0..size).map(|n| n as u8).collect::<Vec<_>>().into();
        assert!(bench.call("echo", body.clone()).await.expect("answers").body == body, "{size}");
        let filled = bench.call("fill", packed(size)).await.expect("answers").body;
        assert_eq!(filled.len(), size);
    }
    let started = bench.lab.counts().started;
    let outcome = bench.call("echo", vec![0; MAX_MESSAGE + 1]).await;
    assert_status(outcome, Code::ResourceExhausted, Executed::No);
    assert_eq!(bench.lab.counts().started, started);
    let outcome = bench.call("fill", packed(MAX_MESSAGE + 1)).await;
    assert_status(outcome, Code::ResourceExhausted, Executed::Yes);
    bench.still_answers().await;
}

pub async fn a_large_item_arrives_and_a_larger_one_is_an_error(fixture: Fixture) {
    let bench = fixture.lab().await;
    let (_, mut items) = bench.open(request("one_item", packed(MAX_MESSAGE))).await;
    assert_eq!(next(&mut items).await.expect("one").expect("item").len(), MAX_MESSAGE);
    assert!(next(&mut items).await.is_none());
    let (_, mut items) = bench.open(request("one_item", packed(MAX_MESSAGE + 1))).await;
    let status = next(&mut items).await.expect("an end").expect_err("an error");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let (sink, mut items) = bench.open(request("chat", "")).await;
    let status = sink.send(vec![0; MAX_MESSAGE + 1].into()).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    sink.send(packed(5u64)).await.expect("goes on");
    assert_eq!(unpacked::<u64>(&next(&mut items).await.expect("one").expect("item")), 5);
}

pub async fn a_panic_is_internal_and_ends_nothing_else(fixture: Fixture) {
    let bench = fixture.lab().await;
    let held = bench.spawn(request("hold", "held"));
    bench.lab.until(|counts| counts.started == 1).await;
    for size in [0, 40_000] {
        let status =
            assert_status(bench.call("panic", vec![1; size]).await, Code::Internal, Executed::Yes);
        assert!(!status.message().contains("burns"), "{status}");
    }
    bench.lab.release(1);
    assert_eq!(ended(held).await.expect("answers").body, "held");
    bench.still_answers().await;
}

pub async fn a_blocking_handler_does_not_hold_up_its_neighbours_for_ever(fixture: Fixture) {
    let bench = fixture.lab().await;
    // From this on it is known to block.
    bench.call("block", packed(5u64)).await.expect("answers");
    bench.call("block", packed(5u64)).await.expect("answers");
    let blocked = bench.spawn(request("block", packed(1_000u64)));
    bench.lab.until(|counts| counts.started == 3).await;
    for _ in 0..100 {
        bench.still_answers().await;
    }
    assert!(!blocked.is_finished(), "the neighbours waited");
    blocked.abort();
}

/// Calls until the connection takes no more.
async fn refused(bench: &Bench) {
    loop {
        match timeout(LONG, bench.call("echo", "")).await.expect("ends") {
            Ok(_) => {}
            Err(status) => {
                assert_status(Err(status), Code::Unavailable, Executed::No);
                return;
            }
        }
    }
}

pub async fn calls_in_flight_end_in_a_drain(fixture: Fixture) {
    let bench = fixture.lab().await;
    let held = bench.spawn(request("hold", "held"));
    let large = bench.spawn(request("hold", vec![1; 100_000]));
    let (_, mut stream) = bench.open(request("hold_items", "")).await;
    next(&mut stream).await.expect("one").expect("item");
    bench.lab.until(|counts| counts.started == 3).await;
    let listener = Arc::clone(&bench.listener);
    let drained = spawn(async move { listener.drain(Instant::now() + LONG).await });
    refused(&bench).await;
    assert!(!bench.connection.is_open());
    let (_, outbound) = items();
    match bench.connection.open(request("sum", ""), Some(outbound)).await {
        Ok(_) => panic!("a stream was taken"),
        Err(status) => assert_eq!(status.executed(), Executed::No),
    }
    assert!(!drained.is_finished());
    bench.lab.release(3);
    assert_eq!(ended(held).await.expect("answers").body, "held");
    assert_eq!(ended(large).await.expect("answers").body.len(), 100_000);
    assert!(next(&mut stream).await.is_none());
    drop(stream);
    ended(drained).await;
    assert_eq!(bench.lab.counts().dropped, 0);
}

pub async fn calls_above_the_last_one_taken_did_not_run(fixture: Fixture) {
    let bench = fixture.lab().await;
    let mut callers = JoinSet::new();
    for n in 0..64 {
        let connection = Arc::clone(&bench.connection);
        callers.spawn(async move {
            let size = if n % 8 == 0 { 40_000 } else { 16 };
            let mut answered = 0;
            loop {
                match connection.call(&request("echo", vec![1; size])).await {
                    Ok(_) => answered += 1,
                    Err(status) => return (answered, status),
                }
            }
        });
    }
    bench.lab.until(|counts| counts.started > 1_000).await;
    timeout(LONG, bench.listener.drain(Instant::now() + LONG)).await.expect("drains");
    let mut answered = 0;
    while let Some(caller) = callers.join_next().await {
        let (count, status) = caller.expect("no panic");
        assert_status(Err(status), Code::Unavailable, Executed::No);
        answered += count;
    }
    // What ran was answered, and nothing else.
    assert_eq!(answered, bench.lab.counts().started);
}

pub async fn an_idle_drain_returns_early(fixture: Fixture) {
    let bench = fixture.lab().await;
    bench.still_answers().await;
    let began = Instant::now();
    bench.listener.drain(began + LONG).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let outcome = timeout(LONG, bench.call("echo", "")).await.expect("ends");
    assert_status(outcome, Code::Unavailable, Executed::No);
}

pub async fn drain_respects_its_deadline(fixture: Fixture) {
    let bench = fixture.lab().await;
    let held = bench.spawn(request("hold", ""));
    bench.lab.until(|counts| counts.started == 1).await;
    let began = Instant::now();
    bench.listener.drain(began + Duration::from_millis(300)).await;
    let took = began.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_status(ended(held).await, Code::Unavailable, Executed::Maybe);
    bench.lab.until(|counts| counts.dropped == 1).await;
}

pub async fn a_server_that_is_gone_ends_its_calls_and_can_come_back(fixture: Fixture) {
    let bench = fixture.lab().await;
    let held = bench.spawn(request("hold", ""));
    let large = bench.spawn(request("hold", vec![1; 100_000]));
    let (_, mut stream) = bench.open(request("hold_items", "")).await;
    next(&mut stream).await.expect("one").expect("item");
    bench.lab.until(|counts| counts.started == 3).await;
    let Bench { fixture, lab, listener, connection } = bench;
    drop(listener);
    assert_status(ended(held).await, Code::Unavailable, Executed::Maybe);
    assert_status(ended(large).await, Code::Unavailable, Executed::Maybe);
    let status = next(&mut stream).await.expect("an end").expect_err("an error");
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::Maybe));
    let outcome = connection.call(&request("echo", "")).await;
    assert_status(outcome, Code::Unavailable, Executed::No);
    assert!(!connection.is_open());
    lab.until(|counts| counts.dropped == 3).await;
    let again = fixture.lab().await;
    again.still_answers().await;
}

pub async fn nobody_at_the_address_is_unavailable_and_did_not_run(fixture: Fixture) {
    let bench = fixture.lab().await;
    let address = bench.listener.address();
    bench.listener.drain(Instant::now()).await;
    drop(bench.listener);
    let connecting = bench.fixture.transport.connect(&address, "lab");
    let status = timeout(LONG, connecting).await.expect("ends").expect_err("nobody");
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No));
    assert!(status.message().contains("lab"), "{status}");
}
