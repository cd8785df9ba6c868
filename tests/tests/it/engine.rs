//! The engine in virtual time: what is sent again, where to, and what runs around it.

use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use micro_core::__private::{Call, Encoder, Idempotent, Once, Route};
use micro_core::client::{Channel, Client, Repeat, Repeatability};
use micro_core::codec::{Encoding, codec, decode, encode};
use micro_core::handler::{Serve, Target, erase};
use micro_core::id::Id;
use micro_core::registry::{Instance, InstanceId, Lease, Registry};
use micro_core::router::Router;
use micro_core::schema::{self, Contract};
use micro_core::server::Server;
use micro_core::service::{Access, Kind, Location, MethodDescriptor, ServiceDescriptor};
use micro_core::transport::memory::Memory;
use micro_core::transport::{Address, Arrived, Dispatch, Listener, Transport};
use micro_core::{
    BoxFuture, Code, Context, Executed, Incoming, Injector, Interceptor, InterceptorDescriptor,
    Metadata, Next, Outcome, Phase, Reply, Result, Side, Status,
};
use micro_tests::lab::{LONG, Lab};
use micro_tests::puppet::{Play, Puppets, draining, echo, error, lost, silence};
use tokio::time::{Instant, advance, sleep};

fn outgoing(idempotent: bool, time: Duration) -> Incoming {
    let mut target = Target::new("puppet", "act");
    target.idempotent = idempotent;
    let context = Context::new(time);
    Incoming::outgoing(target, context, Encoding::MessagePack, Bytes::from_static(b"body"))
}

async fn call(client: &Client, idempotent: bool) -> Outcome {
    client.call(outgoing(idempotent, LONG), Repeat::default()).await
}

fn code(outcome: Outcome) -> (Code, Executed) {
    let status = outcome.expect_err("an error");
    (status.code(), status.executed())
}

// ---- what is sent again ----

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_run_is_sent_once() {
    let puppets = Puppets::default();
    puppets.add("a", lost()).await;
    let client = puppets.client([], []);
    assert_eq!(code(call(&client, false).await), (Code::Unavailable, Executed::Maybe));
    assert_eq!(puppets.count("a"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_handler_is_no_reason_to_repeat() {
    let puppets = Puppets::default();
    puppets.add("a", error(|| Status::internal("no").with_executed(Executed::Yes))).await;
    let client = puppets.client([], []);
    assert_eq!(code(call(&client, true).await), (Code::Internal, Executed::Yes));
    assert_eq!(puppets.count("a"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_sent_three_times_and_says_so() {
    let puppets = Puppets::default();
    puppets.add("a", lost()).await;
    let client = puppets.client([], []);
    assert_eq!(code(call(&client, true).await).0, Code::Unavailable);
    let repeated: Vec<_> = puppets.seen().iter().map(|seen| seen.request.repeated).collect();
    assert_eq!(repeated, [false, true, true]);
    let repeat = Repeat { attempts: Some(5), ..Repeat::default() };
    let _ = client.call(outgoing(true, LONG), repeat).await;
    assert_eq!(puppets.count("a"), 8);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_goes_to_another_instance() {
    let puppets = Puppets::default();
    puppets.add("a", lost()).await;
    puppets.add("b", lost()).await;
    puppets.add("c", lost()).await;
    let client = puppets.client([], []);
    let _ = call(&client, true).await;
    for name in ["a", "b", "c"] {
        assert_eq!(puppets.count(name), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_draining_instance_refuses_moves_at_once_and_for_nothing() {
    let puppets = Puppets::default();
    puppets.add("a", draining()).await;
    puppets.add("b", draining()).await;
    puppets.add("c", echo()).await;
    let client = puppets.client([], []);
    let began = Instant::now();
    // As many as were in flight when the drain began; far more than the budget.
    let calls = (0..500).map(|_| call(&client, false)).map(Box::pin);
    for outcome in join(calls).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(puppets.seen().iter().all(|seen| !seen.request.repeated));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_reached_is_passed_over() {
    let puppets = Puppets::default();
    puppets.add("a", echo()).await;
    puppets.add("b", echo()).await;
    puppets.down("a");
    let client = puppets.client([], []);
    for _ in 0..100 {
        call(&client, false).await.expect("answers");
    }
    puppets.down("b");
    assert_eq!(code(call(&client, false).await), (Code::Unavailable, Executed::No));
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_instance_is_given_the_time_that_it_asks_for() {
    let puppets = Puppets::default();
    let refusals = AtomicUsize::new(0);
    let play: Play = Arc::new(move |request| {
        let first = refusals.fetch_add(1, Ordering::Relaxed) == 0;
        let reply = Reply::new(request.body.clone());
        let busy = Status::resource_exhausted("busy").with_executed(Executed::No);
        let busy = busy.with_retry_after(Duration::from_millis(700));
        Box::pin(async move { if first { Err(busy) } else { Ok(reply) } })
    });
    puppets.add("a", play).await;
    let client = puppets.client([], []);
    let began = Instant::now();
    call(&client, false).await.expect("answers in the end");
    assert!((700..710).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    // No repeat is worth waiting for beyond the deadline.
    puppets.play("a", error(busy_for_a_second));
    let status = client.call(outgoing(true, Duration::from_millis(500)), Repeat::default()).await;
    assert_eq!(code(status).0, Code::ResourceExhausted);
}

fn busy_for_a_second() -> Status {
    let busy = Status::resource_exhausted("busy").with_executed(Executed::No);
    busy.with_retry_after(Duration::from_secs(1))
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_multiplied() {
    let puppets = Puppets::default();
    puppets.add("a", lost()).await;
    let client = puppets.client([], []);
    let calls = (0..1_000).map(|_| call(&client, true)).map(Box::pin);
    let _ = join(calls).await;
    // A fifth, what is saved up, and what time pays for meanwhile.
    let sent = puppets.count("a");
    assert!((1_100..1_225).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_asks_a_second_instance_and_takes_the_first_answer() {
    let puppets = Puppets::default();
    for name in ["a", "b"] {
        puppets.add(name, silence()).await;
    }
    let client = puppets.client([], []);
    let repeat = Repeat { hedge: Some(Duration::from_millis(50)), ..Repeat::default() };
    let (first, began) = (client.call(outgoing(true, LONG), repeat), Instant::now());
    let mut first = std::pin::pin!(first);
    assert!(tokio::time::timeout(Duration::from_millis(40), &mut first).await.is_err());
    assert_eq!(puppets.seen().len(), 1);
    for name in ["a", "b"] {
        // Only the one that was not asked yet will be.
        puppets.play(name, echo());
    }
    first.await.expect("answers");
    assert_eq!(began.elapsed(), Duration::from_millis(50));
    let seen = puppets.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].instance, seen[1].instance);
    assert!(!seen[0].request.repeated && seen[1].request.repeated);
    // What may not run twice is not hedged.
    puppets.play("a", silence());
    puppets.play("b", silence());
    let outcome = client.call(outgoing(false, Duration::from_secs(1)), repeat).await;
    assert_eq!(code(outcome).0, Code::DeadlineExceeded);
    assert_eq!(puppets.seen().len(), 3);
}

// ---- where it goes ----

#[tokio::test(start_paused = true)]
async fn a_failing_instance_rests_and_comes_back() {
    let puppets = Puppets::default();
    puppets.add("good", echo()).await;
    puppets.add("bad", lost()).await;
    let client = puppets.client([], []);
    for _ in 0..1_000 {
        call(&client, true).await.expect("answers");
        advance(Duration::from_millis(1)).await;
    }
    // Some second, with rests of 100, 200, 400 .. ms.
    let tried = puppets.count("bad");
    assert!((1..20).contains(&tried), "{tried}");
    puppets.play("bad", echo());
    advance(Duration::from_secs(20)).await;
    for _ in 0..1_000 {
        call(&client, true).await.expect("answers");
        advance(Duration::from_millis(1)).await;
    }
    assert!(puppets.count("bad") > tried + 100, "{}", puppets.count("bad"));
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_they_are_called_all_the_same() {
    let puppets = Puppets::default();
    for name in ["a", "b", "c"] {
        puppets.add(name, lost()).await;
    }
    let client = puppets.client([], []);
    for n in 1..=50 {
        let _ = call(&client, false).await;
        assert_eq!(puppets.seen().len(), n);
    }
    for name in ["a", "b", "c"] {
        puppets.play(name, echo());
    }
    call(&client, false).await.expect("answers at once");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_answers_gets_slow() {
    let puppets = Puppets::default();
    puppets.add("good", slow(Duration::from_millis(1))).await;
    puppets.add("hole", silence()).await;
    let client = puppets.client([], []);
    let mut failed = 0;
    for _ in 0..200 {
        let call = outgoing(false, Duration::from_millis(100));
        failed += usize::from(client.call(call, Repeat::default()).await.is_err());
    }
    assert!(failed <= 3, "{failed}");
}

fn slow(time: Duration) -> Play {
    Arc::new(move |request| {
        let reply = Reply::new(request.body.clone());
        Box::pin(async move {
            sleep(time).await;
            Ok(reply)
        })
    })
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_told_within_a_second_with_the_nearest_name() {
    let puppets = Puppets::default();
    puppets.add("a", echo()).await;
    let client = puppets.client([], []);
    let mut call = outgoing(false, LONG);
    call.target = Target::new("pupet", "act");
    let began = Instant::now();
    let status = client.call(call, Repeat::default()).await.expect_err("nobody");
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No));
    assert!(status.message().contains("did you mean `puppet`"), "{status}");
    // Once, and twice again as it may just be starting.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

// ---- deadlines ----

#[tokio::test(start_paused = true)]
async fn the_client_keeps_the_deadline_of_a_server_that_does_not() {
    let puppets = Puppets::default();
    puppets.add("a", silence()).await;
    let client = puppets.client([], []);
    let call = outgoing(false, Duration::from_millis(300));
    let (correlation, began) = (call.context.correlation(), Instant::now());
    let status = client.call(call, Repeat::default()).await.expect_err("late");
    assert_eq!((status.code(), status.executed()), (Code::DeadlineExceeded, Executed::Maybe));
    assert_eq!(status.correlation(), correlation);
    assert_eq!(began.elapsed(), Duration::from_millis(300));

    puppets.play("a", echo());
    let mut call = outgoing(false, Duration::from_millis(300));
    call.target.kind = Kind::ServerStream;
    let (mut items, _) = client.open(call).await.expect("opens");
    let began = Instant::now();
    let status = items.next().await.expect("an end").expect_err("late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed(), Duration::from_millis(300));
    assert!(items.next().await.is_none());
}

/// A service that calls itself, and the puppets.
struct Relay(Client);

const LOCATION: Location = Location { krate: "micro-tests", file: file!(), line: line!() };

const fn method(name: &'static str) -> MethodDescriptor {
    MethodDescriptor {
        name,
        kind: Kind::Unary,
        idempotent: false,
        access: Access::Domain,
        http: None,
        timeout: None,
        docs: "",
        request: schema::ANY,
        reply: schema::ANY,
        location: LOCATION,
    }
}

static RELAY: ServiceDescriptor = ServiceDescriptor {
    name: "relay",
    version: 1,
    type_name: "Relay",
    docs: "",
    methods: &[method("hop"), method("puppet")],
    subscriptions: &[],
    emits: &[],
    interceptors: &[],
    location: LOCATION,
};

/// Milliseconds left and the correlation id, at the last hop.
type Last = (u64, String);

fn to<Req, Rep, R>(service: &'static str, method: &'static str) -> Route<Req, Rep, Status, R>
where
    Req: micro_core::Wire,
    Rep: micro_core::Wire,
    R: Repeatability,
{
    let encode = Encoder::One(codec::<Req>().encode);
    let contract = Contract { request: schema::ANY, reply: schema::ANY };
    Route::new(service, method, Kind::Unary, encode, codec::<Rep>().decode, contract)
}

impl Serve<()> for Relay {
    const DESCRIPTOR: &'static ServiceDescriptor = &RELAY;

    async fn build(_: &Injector) -> Result<Self> {
        Err(Status::unimplemented("made by hand"))
    }

    fn dispatch(self: Arc<Self>, method: u16, call: Incoming) -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            if method == 1 {
                let puppet: Channel = self.0.channel("puppet");
                let body: String =
                    Call::new(&puppet, to::<_, _, Idempotent>("puppet", "act"), 7u64).await?;
                return encode(call.encoding, &body).map(Reply::new);
            }
            let hops: u64 = decode(call.encoding, &call.body)?;
            let last: Last = match hops {
                0 => {
                    let left = call.context.time_left().as_millis() as u64;
                    (left, call.context.correlation().to_string())
                }
                hops => {
                    sleep(Duration::from_millis(100)).await;
                    let relay = self.0.channel("relay");
                    Call::new(&relay, to::<_, _, Once>("relay", "hop"), hops - 1).await?
                }
            };
            encode(call.encoding, &last).map(Reply::new)
        })
    }

    fn deliver(self: Arc<Self>, _: u16, _: Incoming) -> BoxFuture<'static, Outcome> {
        Box::pin(ready(Err(Status::unimplemented("nothing"))))
    }
}

struct Relayed {
    client: Client,
    server: Server,
    _listener: Box<dyn Listener>,
    _lease: Lease,
}

async fn relay(puppets: &Puppets) -> Relayed {
    let memory: Arc<dyn Transport> = Arc::new(Memory::default());
    let client = puppets.client([], [Arc::clone(&memory)]);
    let mut router = Router::default();
    router.add(erase::<Relay, ()>(Arc::new(Relay(client.clone()))), &[]).expect("a service");
    let server = Server::of(router, 100);
    let nowhere = Address::new("memory", 0);
    let listener = memory.listen(&nowhere, Arc::new(server.clone())).await.expect("listens");
    let instance = Instance {
        id: InstanceId::random(),
        service: "relay".into(),
        version: 1,
        addresses: vec![listener.address()],
        metadata: Default::default(),
        subscriptions: Vec::new(),
    };
    let lease = puppets.registry.register(instance).await.expect("registers");
    Relayed { client, server, _listener: listener, _lease: lease }
}

#[tokio::test(start_paused = true)]
async fn time_left_and_correlation_go_down_three_hops() {
    let relay = relay(&Puppets::default()).await;
    let channel = relay.client.channel("relay");
    let context = Context::new(LONG);
    let hop = || Call::new(&channel, to::<_, Last, Once>("relay", "hop"), 3u64).within(&context);
    let (left, correlation) = hop().timeout(Duration::from_secs(1)).await.expect("arrives");
    assert_eq!(left, 700);
    assert_eq!(correlation, context.correlation().to_string());
    // The third hop has no time left.
    let began = Instant::now();
    let status = hop().timeout(Duration::from_millis(250)).await.expect_err("late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn tiers_do_not_multiply_their_repeats() {
    let puppets = Puppets::default();
    puppets.add("a", lost()).await;
    let relay = relay(&puppets).await;
    let arrived = |repeated| Arrived {
        peer: Arc::default(),
        encoding: Encoding::MessagePack,
        deadline: Instant::now() + LONG,
        correlation: Id::random(),
        repeated,
        metadata: Metadata::new(),
        body: Bytes::new(),
        inbound: None,
        outbound: None,
    };
    let route = relay.server.resolve("relay", "puppet").expect("found");
    let _ = relay.server.call(&route, arrived(false)).await;
    assert_eq!(puppets.count("a"), 3);
    let _ = relay.server.call(&route, arrived(true)).await;
    assert_eq!(puppets.count("a"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_behind_a_handler_is_none_of_the_handler() {
    let puppets = Puppets::default();
    puppets.add("a", draining()).await;
    let relay = relay(&puppets).await;
    let mut call = outgoing(false, LONG);
    call.target = Target::new("relay", "puppet");
    let outcome = relay.client.call(call, Repeat::default()).await;
    assert_eq!(code(outcome), (Code::Unavailable, Executed::Yes));
}

// ---- interceptors ----

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down when it sees a call, and does something with it.
struct Around {
    name: &'static str,
    phase: Phase,
    log: Log,
    act: Act,
}

#[derive(Clone, Copy)]
enum Act {
    Answer,
    Hurry,
    Note,
    Refuse,
    Tag,
    Twice,
}

impl Interceptor for Around {
    fn descriptor(&self) -> InterceptorDescriptor {
        let Self { name, phase, .. } = *self;
        InterceptorDescriptor { name, phase, provides: &[], requires: &[] }
    }

    fn intercept<'a>(&'a self, mut call: Incoming, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        let side = if call.side == Side::Client { "client" } else { "server" };
        self.log.lock().expect("whole").push(format!("{side} {}", self.name));
        Box::pin(async move {
            match self.act {
                Act::Answer => Ok(Reply::new("made up".into())),
                Act::Hurry => {
                    call.context.shorten_deadline(Instant::now() + Duration::from_millis(100));
                    next.run(call).await
                }
                Act::Note => next.run(call).await,
                Act::Refuse => {
                    Err(Status::permission_denied("not you").with_executed(Executed::No))
                }
                Act::Tag => {
                    call.context.metadata_mut().insert("tag", self.name).expect("valid");
                    let mut reply = next.run(call).await?;
                    reply.metadata.insert("seen-by", self.name).expect("valid");
                    Ok(reply)
                }
                Act::Twice => match call.try_clone() {
                    Some(again) => {
                        next.run(call).await?;
                        next.run(again).await
                    }
                    None => next.run(call).await,
                },
            }
        })
    }
}

/// A lab behind a client, with interceptors on both sides.
struct Intercepted {
    lab: Lab,
    client: Client,
    log: Log,
    _listener: Box<dyn Listener>,
    _lease: Lease,
}

async fn intercepted(client: &[(Phase, Act)], server: &[(Phase, Act)]) -> Intercepted {
    let log = Log::default();
    let around = |side: &[(Phase, Act)]| -> Vec<Arc<dyn Interceptor>> {
        let one = |&(phase, act): &(Phase, Act)| -> Arc<dyn Interceptor> {
            Arc::new(Around { name: phase.name(), phase, log: Arc::clone(&log), act })
        };
        side.iter().map(one).collect()
    };
    let (puppets, lab) = (Puppets::default(), Lab::default());
    let memory: Arc<dyn Transport> = Arc::new(Memory::default().calling_as("friend"));
    let nowhere = Address::new("memory", 0);
    let dispatch = Arc::new(lab.server_with(&around(server), 100));
    let listener = memory.listen(&nowhere, dispatch).await.expect("listens");
    let instance = Instance {
        id: InstanceId::random(),
        service: "lab".into(),
        version: 1,
        addresses: vec![listener.address()],
        metadata: Default::default(),
        subscriptions: Vec::new(),
    };
    let lease = puppets.registry.register(instance).await.expect("registers");
    let client = puppets.client(around(client), [memory]);
    Intercepted { lab, client, log, _listener: listener, _lease: lease }
}

impl Intercepted {
    fn outgoing(method: &'static str, kind: Kind, body: Bytes) -> Incoming {
        let mut target = Target::new("lab", method);
        target.kind = kind;
        Incoming::outgoing(target, Context::new(LONG), Encoding::MessagePack, body)
    }

    async fn echo(&self) -> Outcome {
        let call = Self::outgoing("echo", Kind::Unary, "body".into());
        self.client.call(call, Repeat::default()).await
    }

    async fn count(&self) -> Result<usize> {
        let body = encode(Encoding::MessagePack, &(3u64, 0usize)).expect("encodes");
        let call = Self::outgoing("count", Kind::ServerStream, body);
        let (mut items, _) = self.client.open(call).await?;
        let mut count = 0;
        while let Some(item) = items.next().await {
            item?;
            count += 1;
        }
        Ok(count)
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().expect("whole"))
    }
}

#[tokio::test(start_paused = true)]
async fn interceptors_run_by_phase_whatever_order_they_were_given_in() {
    let phases = micro_core::interceptor::PHASES;
    let given: Vec<_> = phases.into_iter().rev().map(|phase| (phase, Act::Note)).collect();
    let bench = intercepted(&given, &given).await;
    let expected: Vec<_> = ["client", "server"]
        .iter()
        .flat_map(|side| phases.iter().map(move |phase| format!("{side} {}", phase.name())))
        .collect();
    bench.echo().await.expect("answers");
    assert_eq!(bench.log(), expected);
    assert_eq!(bench.count().await.expect("streams"), 3);
    assert_eq!(bench.log(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_refuses_unary_calls_and_streams_on_both_sides() {
    let refuse = [(Phase::Limit, Act::Refuse), (Phase::User, Act::Note)];
    for (client, server) in [(&refuse[..], &[][..]), (&[], &refuse)] {
        let bench = intercepted(client, server).await;
        assert_eq!(code(bench.echo().await), (Code::PermissionDenied, Executed::No));
        let status = bench.count().await.expect_err("refused");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(bench.lab.counts().started, 0);
        assert_eq!(bench.log().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn interceptors_change_the_metadata_of_both_ways() {
    let bench = intercepted(&[(Phase::Quota, Act::Tag)], &[(Phase::Observe, Act::Tag)]).await;
    let reply = bench.echo().await.expect("answers");
    // The server's came later on the way there, and the client's later on the way back.
    assert_eq!(reply.metadata.get("tag"), Some("observe"));
    assert_eq!(reply.metadata.get("seen-by"), Some("quota"));
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_answers_by_itself() {
    for (client, server) in
        [(&[(Phase::User, Act::Answer)][..], &[][..]), (&[], &[(Phase::User, Act::Answer)])]
    {
        let bench = intercepted(client, server).await;
        assert_eq!(bench.echo().await.expect("answers").body, "made up");
        assert_eq!(bench.lab.counts().started, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_runs_the_rest_twice() {
    let twice = [(Phase::User, Act::Twice)];
    let bench = intercepted(&twice, &twice).await;
    bench.echo().await.expect("answers");
    assert_eq!(bench.lab.counts().started, 4);
    assert_eq!(bench.count().await.expect("streams"), 3);
    assert_eq!(bench.lab.counts().started, 5);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_an_interceptor_shortens_ends_the_handler() {
    let bench = intercepted(&[], &[(Phase::Limit, Act::Hurry), (Phase::User, Act::Note)]).await;
    let began = Instant::now();
    let call = Intercepted::outgoing("hold", Kind::Unary, Bytes::new());
    let outcome = bench.client.call(call, Repeat::default()).await;
    assert_eq!(code(outcome), (Code::DeadlineExceeded, Executed::Maybe));
    assert_eq!(began.elapsed(), Duration::from_millis(100));
    assert_eq!(bench.lab.counts().dropped, 1);
}

// ---- the server's own rules ----

#[tokio::test(start_paused = true)]
async fn an_access_rule_lets_in_whom_it_names() {
    let lab = Lab::default();
    let network = Memory::default();
    let nowhere = Address::new("memory", 0);
    let listener = network.listen(&nowhere, Arc::new(lab.server())).await.expect("listens");
    for (caller, allowed) in [("friend", true), ("stranger", false)] {
        let transport = network.calling_as(caller);
        let connection = transport.connect(&listener.address(), "lab").await.expect("connects");
        let request = micro_tests::conformance::transport::request("friends", "");
        let outcome = connection.call(&request).await;
        match allowed {
            true => drop(outcome.expect("allowed")),
            false => assert_eq!(code(outcome), (Code::PermissionDenied, Executed::No)),
        }
    }
    assert_eq!(lab.counts().started, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_server_refuses_and_says_when_to_come_back() {
    let lab = Lab::default();
    let network = Memory::default();
    let nowhere = Address::new("memory", 0);
    let server = lab.server_with(&[], 2);
    let listener = network.listen(&nowhere, Arc::new(server.clone())).await.expect("listens");
    let connection = network.connect(&listener.address(), "lab").await.expect("connects");
    let request = micro_tests::conformance::transport::request;
    let held = join((0..2).map(|_| connection.call(&request("hold", ""))));
    let refused = async {
        lab.until(|counts| counts.started == 2).await;
        let status = connection.call(&request("echo", "")).await.expect_err("refused");
        assert_eq!((status.code(), status.executed()), (Code::ResourceExhausted, Executed::No));
        assert!(status.retry_after().is_some());
        assert_eq!(server.running(), 2);
        lab.release(2);
    };
    let (held, ()) = tokio::join!(held, refused);
    assert!(held.iter().all(Result::is_ok));
    connection.call(&request("echo", "")).await.expect("there is room again");
    assert_eq!(server.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_calls_is_counted_by_handler() {
    let lab = Lab::default();
    let network = Memory::default();
    let nowhere = Address::new("memory", 0);
    let server = lab.server();
    let listener = network.listen(&nowhere, Arc::new(server.clone())).await.expect("listens");
    let connection = network.connect(&listener.address(), "lab").await.expect("connects");
    let request = micro_tests::conformance::transport::request;
    let calls = |method| {
        let stats = server.stats();
        stats.into_iter().find(|stats| stats.method == method).expect("a handler").calls
    };
    for _ in 0..3 {
        connection.call(&request("echo", "")).await.expect("answers");
    }
    connection.call(&request("panic", "")).await.expect_err("panics");
    let mut held = Box::pin(connection.call(&request("hold", "")));
    tokio::select! {
        _ = &mut held => panic!("it was let go"),
        () = lab.until(|counts| counts.started == 5) => {}
    }
    assert_eq!((calls("hold").waiting, calls("hold").ended), (1, 0));
    drop(held);
    let hold = calls("hold");
    assert_eq!((hold.waiting, hold.errors), (0, vec![(Code::Cancelled, 1)]));
    assert_eq!((calls("echo").ok(), calls("echo").ended), (3, 3));
    assert_eq!(calls("panic").errors, [(Code::Internal, 1)]);
}

/// Runs futures side by side.
async fn join<F: Future + Unpin>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (future, None)).collect();
    std::future::poll_fn(|cx| {
        let mut open = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match std::pin::Pin::new(future).poll(cx) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
