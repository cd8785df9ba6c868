use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::codec::Encoding;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::registry::{
    Capabilities as RegistryCapabilities, Lease, MemoryRegistry, RegistryError, Updates,
};
use crate::status::{Code, Executed};
use crate::topic::{Pattern, Topic};

type Answer = BoxFuture<'static, Result<(), Status>>;

/// A courier that is a function of who and what.
struct Fake<F>(F);

impl<F: Fn(&Instance, Envelope) -> Answer + Send + Sync + 'static> Courier for Fake<F> {
    fn deliver<'a>(
        &'a self,
        to: &'a Instance,
        envelope: Envelope,
    ) -> BoxFuture<'a, Result<(), Status>> {
        (self.0)(to, envelope)
    }
}

/// A registry whose watch begins when it is told to.
#[derive(Debug)]
struct Slow {
    known: MemoryRegistry,
    begin: watch::Receiver<bool>,
    lists: bool,
}

impl Registry for Slow {
    fn capabilities(&self) -> RegistryCapabilities {
        RegistryCapabilities { lists: self.lists, ..self.known.capabilities() }
    }

    fn register(&self, instance: Instance) -> BoxFuture<'_, Result<Lease, RegistryError>> {
        self.known.register(instance)
    }

    fn lookup<'a>(
        &'a self,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Instance>, RegistryError>> {
        self.known.lookup(service)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Instance>, RegistryError>> {
        self.known.list()
    }

    fn watch<'a>(
        &'a self,
        service: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Updates, RegistryError>> {
        Box::pin(async move {
            let _ = self.begin.clone().wait_for(|begin| *begin).await;
            self.known.watch(service).await
        })
    }
}

fn wanted(pattern: &str) -> Subscribe {
    let pattern = Pattern::parse(pattern).expect("pattern");
    Subscribe { pattern, group: "billing".into(), broadcast: false }
}

fn instance(id: &str, patterns: &[&str]) -> Instance {
    Instance {
        id: InstanceId::parse(id).expect("id"),
        service: "billing".into(),
        version: 1,
        addresses: Vec::new(),
        metadata: BTreeMap::new(),
        subscriptions: patterns.iter().map(|pattern| wanted(pattern).into()).collect(),
    }
}

fn message(n: u128) -> Message {
    Message {
        id: Id::from_u128(n),
        topic: Topic::parse("orders").expect("topic"),
        key: None,
        encoding: Encoding::Json,
        metadata: Metadata::new(),
        body: Bytes::from_static(b"1"),
    }
}

fn envelope(n: u128) -> Envelope {
    Envelope { to: wanted("orders"), message: Arc::new(message(n)), attempt: 1 }
}

/// A broker that publishes, its registry, and a log of which instance got which message.
struct Publisher {
    broker: DirectBroker,
    registry: MemoryRegistry,
    log: Arc<Mutex<Vec<(String, u128)>>>,
}

impl Publisher {
    fn new(answer: impl Fn(&Instance, &Envelope) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_permit(answer, Options::default().permit)
    }

    fn with_permit(
        answer: impl Fn(&Instance, &Envelope) -> Answer + Send + Sync + 'static,
        permit: Permit,
    ) -> Self {
        let registry = MemoryRegistry::new();
        let log: Arc<Mutex<Vec<(String, u128)>>> = Arc::default();
        let told = log.clone();
        let courier = Fake(move |to: &Instance, envelope: Envelope| {
            lock(&told).push((to.id.to_string(), envelope.message.id.as_u128()));
            answer(to, &envelope)
        });
        let options = Options { permit, ..Options::default() };
        let me = vec![InstanceId::random()];
        let known = Arc::new(registry.clone());
        let broker = DirectBroker::with_options(me, known, Arc::new(courier), options);
        Self { broker: broker.expect("starts"), registry, log }
    }

    async fn register(&self, instance: Instance) -> Lease {
        let lease = self.registry.register(instance).await.expect("registers");
        idle().await;
        lease
    }

    async fn publish(&self, n: u128) {
        self.broker.publish(message(n)).await.expect("publishes");
        idle().await;
    }

    fn log(&self) -> Vec<(String, u128)> {
        std::mem::take(&mut lock(&self.log))
    }

    fn pending(&self) -> u64 {
        let stats = self.broker.queues().stats();
        stats.published - stats.acknowledged - stats.dead_letters
    }
}

fn answer(result: impl Fn() -> Result<(), Status>) -> Answer {
    Box::pin(std::future::ready(result()))
}

fn nobody() -> Result<(), Status> {
    Err(Status::unavailable("nobody is there").with_executed(Executed::No))
}

/// Time passes only when nothing else can happen.
async fn idle() {
    sleep(Duration::from_millis(1)).await;
}

/// A broker that only receives.
fn receiver() -> DirectBroker {
    let courier = Arc::new(Fake(|_: &Instance, _: Envelope| answer(nobody)));
    DirectBroker::new(Vec::new(), Arc::new(MemoryRegistry::new()), courier).expect("starts")
}

#[tokio::test(start_paused = true)]
async fn the_first_publish_waits_for_the_registry() {
    let (begin, begun) = watch::channel(false);
    let known = MemoryRegistry::new();
    let _lease = known.register(instance("a", &["orders"])).await.expect("registers");
    let got = Arc::new(Mutex::new(0));
    let count = got.clone();
    let courier = Fake(move |_: &Instance, _: Envelope| {
        *lock(&count) += 1;
        answer(|| Ok(()))
    });
    let registry = Arc::new(Slow { known, begin: begun, lists: true });
    let broker = DirectBroker::new(Vec::new(), registry, Arc::new(courier)).expect("starts");
    let began = Instant::now();
    let refused = broker.publish(message(1)).await;
    assert!(matches!(refused, Err(BrokerError::NotReady)), "{refused:?}");
    assert_eq!(began.elapsed(), READY_WAIT);
    let later = async {
        sleep(Duration::from_secs(1)).await;
        begin.send_replace(true);
    };
    let (published, ()) = tokio::join!(broker.publish(message(2)), later);
    published.expect("publishes");
    idle().await;
    assert_eq!(*lock(&got), 1);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_cannot_list_is_refused() {
    let (_begin, begin) = watch::channel(true);
    let registry = Arc::new(Slow { known: MemoryRegistry::new(), begin, lists: false });
    let courier = Arc::new(Fake(|_: &Instance, _: Envelope| answer(nobody)));
    let refused = DirectBroker::new(Vec::new(), registry, courier).expect_err("is refused");
    assert!(matches!(refused, BrokerError::Invalid(_)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_reach_one_instance_goes_to_another() {
    let publisher = Publisher::new(|to, _| match to.id.as_str() {
        "dead" => answer(nobody),
        _ => answer(|| Ok(())),
    });
    let _dead = publisher.register(instance("dead", &["orders"])).await;
    let _live = publisher.register(instance("live", &["orders"])).await;
    for n in 1..=20 {
        publisher.publish(n).await;
    }
    assert_eq!(publisher.pending(), 0);
    let log = publisher.log();
    assert_eq!(log.iter().filter(|(to, _)| to == "live").count(), 20);
    let tried = log.iter().filter(|(to, _)| to == "dead").count();
    assert!((1..5).contains(&tried), "it is left alone for a while: {tried}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_away_for_long_loses_nothing() {
    let (back, away) = watch::channel(false);
    let publisher = Publisher::new(move |_, _| {
        let back = *away.borrow();
        answer(move || if back { Ok(()) } else { nobody() })
    });
    let _lease = publisher.register(instance("a", &["orders"])).await;
    publisher.publish(1).await;
    sleep(Duration::from_secs(500)).await;
    let tried = publisher.log().len();
    assert!((40..100).contains(&tried), "the wait between attempts grows: {tried}");
    assert_eq!(publisher.pending(), 1);
    assert_eq!(publisher.broker.queues().stats().dead_letters, 0);
    back.send_replace(true);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(publisher.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_leaves_may_finish_what_it_has() {
    let publisher = Publisher::new(|to, _| match to.id.as_str() {
        "slow" => Box::pin(async {
            sleep(Duration::from_secs(3)).await;
            Ok(())
        }),
        "hung" => Box::pin(std::future::pending()),
        _ => answer(|| Ok(())),
    });
    let slow = publisher.register(instance("slow", &["orders"])).await;
    publisher.publish(1).await;
    drop(slow);
    let hung = publisher.register(instance("hung", &["orders"])).await;
    publisher.publish(2).await;
    drop(hung);
    let _live = publisher.register(instance("live", &["orders"])).await;
    publisher.publish(3).await;
    let expected = [("slow", 1), ("hung", 2), ("live", 3)].map(|(to, n)| (to.to_owned(), n));
    assert_eq!(publisher.log(), expected);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(publisher.pending(), 1, "the slow one has finished");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(publisher.log(), [("live".to_owned(), 2)], "and the other one has had its time");
    assert_eq!(publisher.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_changes_is_followed() {
    let publisher = Publisher::new(|to, _| {
        let moved = to.metadata.contains_key("moved");
        answer(move || if moved { Ok(()) } else { Err(Status::internal("the old place")) })
    });
    let _first = publisher.register(instance("a", &["orders"])).await;
    let mut moved = instance("a", &["orders"]);
    moved.metadata.insert("moved".into(), "yes".into());
    let _second = publisher.register(moved).await;
    publisher.publish(1).await;
    assert_eq!(publisher.pending(), 0);
    let _third = publisher.register(instance("a", &["users"])).await;
    publisher.log();
    publisher.publish(2).await;
    assert_eq!(publisher.log(), [], "it does not listen to that any more");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_permitted_gets_nothing() {
    let permit = |_: &Instance, wanted: &Subscribe| !wanted.pattern.as_str().contains('>');
    let publisher = Publisher::with_permit(|_, _| answer(|| Ok(())), Arc::new(permit));
    let _wide = publisher.register(instance("wide", &[">"])).await;
    let _narrow = publisher.register(instance("narrow", &["orders"])).await;
    publisher.publish(1).await;
    assert_eq!(publisher.log(), [("narrow".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_handler_is_an_attempt() {
    let publisher = Publisher::new(|_, _| answer(|| Err(Status::aborted("no such customer"))));
    let _lease = publisher.register(instance("a", &["orders"])).await;
    publisher.publish(1).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(publisher.log().len(), 5);
    let dead = publisher.broker.queues().dead_letters();
    assert_eq!(dead[0].metadata.get("micro-dead-reason"), Some("no such customer"));
}

#[tokio::test(start_paused = true)]
async fn receiving_answers_what_became_of_the_message() {
    let broker = receiver();
    let unknown = broker.receive(envelope(1)).await.expect_err("nobody listens");
    assert_eq!((unknown.code(), unknown.executed()), (Code::NotFound, Executed::No));
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let handle = async {
        subscription.next().await.expect("open").ack();
        subscription.next().await.expect("open").nack("no such customer");
        drop(subscription.next().await.expect("open"));
        subscription.next().await.expect("open").release();
    };
    let receive = async {
        let mut answers = Vec::new();
        for n in 1..=4 {
            answers.push(broker.receive(envelope(n)).await.map_err(|s| (s.code(), s.executed())));
        }
        answers
    };
    let (answers, ()) = tokio::join!(receive, handle);
    let aborted = Err((Code::Aborted, Executed::Maybe));
    assert_eq!(answers, [Ok(()), aborted, aborted, Err((Code::Unavailable, Executed::No))]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_is_handled_once() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let handle = async {
        let delivery = subscription.next().await.expect("open");
        sleep(Duration::from_secs(10)).await;
        delivery.ack();
    };
    let (one, two, ()) =
        tokio::join!(broker.receive(envelope(1)), broker.receive(envelope(1)), handle);
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    broker.receive(envelope(1)).await.expect("was handled already");
    // Who asked is gone: it is handled nevertheless, and the next to ask hears of it.
    let asked = timeout(Duration::from_millis(1), broker.receive(envelope(2)));
    assert!(asked.await.is_err());
    subscription.next().await.expect("open").ack();
    broker.receive(envelope(2)).await.expect("was handled already");
    assert!(timeout(Duration::from_secs(60), subscription.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_begins_goes_back_soon() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let began = Instant::now();
    let busy = broker.receive(envelope(1)).await.expect_err("nobody takes it");
    assert_eq!((busy.code(), busy.executed()), (Code::ResourceExhausted, Executed::No));
    assert_eq!(began.elapsed(), inbox::ACCEPT_WAIT);
    assert!(timeout(Duration::from_secs(1), subscription.next()).await.is_err());
    let leave = async {
        idle().await;
        drop(subscription);
    };
    let (left, ()) = tokio::join!(broker.receive(envelope(2)), leave);
    let left = left.expect_err("the subscriber leaves");
    assert_eq!((left.code(), left.executed()), (Code::Unavailable, Executed::No));
}

#[tokio::test(start_paused = true)]
async fn what_waits_here_is_bounded() {
    let broker = receiver();
    let _subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut waiting = tokio::task::JoinSet::new();
    for n in 1..=2_000 {
        let broker = broker.clone();
        waiting.spawn(async move { broker.receive(envelope(n)).await.map_err(|s| s.to_string()) });
    }
    let (mut refused, mut waited) = (0, 0);
    while let Some(answer) = waiting.join_next().await {
        match answer.expect("runs").expect_err("nobody takes it").contains("too many") {
            true => refused += 1,
            false => waited += 1,
        }
    }
    assert_eq!((waited, refused), (1_024, 976));
}

#[tokio::test(start_paused = true)]
async fn what_a_process_listens_to_is_told_once_for_each_change() {
    let broker = receiver();
    let mut told = broker.own_subscriptions();
    assert!(told.borrow_and_update().is_empty());
    let first = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let second = broker.subscribe(wanted("orders")).await.expect("subscribes");
    assert_eq!(*told.borrow_and_update(), [wanted("orders").into()]);
    drop(first);
    assert!(!told.has_changed().expect("open"), "somebody still listens");
    drop(second);
    assert!(told.borrow_and_update().is_empty());
    let _third = broker.subscribe(wanted("users")).await.expect("subscribes");
    let closed = broker.close(Instant::now()).await;
    assert_eq!(closed, 0);
    assert!(told.borrow_and_update().is_empty(), "a process that closes wants no more");
    let refused = broker.receive(envelope(1)).await.expect_err("closed");
    assert_eq!((refused.code(), refused.executed()), (Code::Unavailable, Executed::No));
}
