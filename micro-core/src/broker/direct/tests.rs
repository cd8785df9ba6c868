use std::collections::BTreeMap;

use bytes::Bytes;

use super::frame::{Down, Up};
use super::*;
use crate::broker::Verdict;
use crate::codec::Encoding;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::registry::{
    Capabilities as RegistryCapabilities, Lease, MemoryRegistry, RegistryError, Updates,
};
use crate::status::{Code, Executed};
use crate::stream;
use crate::topic::{Pattern, Topic};

mod receiving;

/// What becomes of one message; a failure that was not executed is given back.
type Answer = BoxFuture<'static, Result<(), Status>>;

/// A courier to instances that do as a function of who and what says. Not being there is an answer too.
struct Fake<F>(Arc<F>);

impl<F: Fn(&Instance, &Message) -> Answer + Send + Sync + 'static> Courier for Fake<F> {
    fn open<'a>(
        &'a self,
        to: &'a Instance,
        outbound: Outbound,
    ) -> BoxFuture<'a, Result<Items, Status>> {
        Box::pin(async move {
            if to.id.as_str().starts_with("dead") {
                // Asked so that it is counted.
                (self.0)(to, &message(0)).await?;
            }
            let (sink, answers) = stream::items();
            tasks::spawn(play(self.0.clone(), to.clone(), outbound, sink));
            Ok(Items::sent(answers))
        })
    }
}

/// The other end of a stream.
async fn play<F>(answer: Arc<F>, to: Instance, mut outbound: Outbound, sink: ItemSink)
where
    F: Fn(&Instance, &Message) -> Answer + Send + Sync + 'static,
{
    let (mut declared, mut running) = (Vec::new(), tokio::task::JoinSet::new());
    loop {
        tokio::select! {
            item = outbound.recv() => match item.map(|item| Down::read(item).expect("valid")) {
                Some(Down::Declare { number, to }) => {
                    assert_eq!(number as usize, declared.len());
                    declared.push((to, 0));
                }
                Some(Down::Events { number, mut records, .. }) => {
                    let (wanted, count) = &mut declared[number as usize];
                    while let Some(record) = records.next().expect("valid") {
                        let message = record.read(wanted, &mut None).expect("a message");
                        let (at, answer, sink) = (*count, answer(&to, &message), sink.clone());
                        *count += 1;
                        running.spawn(async move {
                            let item = match answer.await {
                                Ok(()) => frame::done(number, [(at, 1)]),
                                Err(status) => frame::failed(number, at, &verdict(&status)),
                            };
                            let _ = sink.send(item).await;
                        });
                    }
                }
                Some(Down::Unknown) => panic!("unknown"),
                None => break,
            },
            Some(ended) = running.join_next() => ended.expect("answers"),
        }
    }
    while running.join_next().await.is_some() {}
}

fn verdict(status: &Status) -> Verdict {
    match (status.code(), status.executed()) {
        (Code::Unavailable, Executed::No) => Verdict::Released,
        (Code::Unavailable, _) => Verdict::Lost,
        _ => Verdict::Nack(status.message().to_owned()),
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
        correlation: None,
        metadata: Metadata::new(),
        body: Bytes::from_static(b"1"),
    }
}

/// A broker that publishes, its registry, and a log of which instance got which message.
struct Publisher {
    broker: DirectBroker,
    registry: MemoryRegistry,
    log: Arc<Mutex<Vec<(String, u128)>>>,
}

impl Publisher {
    fn new(answer: impl Fn(&Instance, &Message) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_permit(answer, Options::default().permit)
    }

    fn with_permit(
        answer: impl Fn(&Instance, &Message) -> Answer + Send + Sync + 'static,
        permit: Permit,
    ) -> Self {
        let registry = MemoryRegistry::new();
        let log: Arc<Mutex<Vec<(String, u128)>>> = Arc::default();
        let told = log.clone();
        let courier = Fake(Arc::new(move |to: &Instance, message: &Message| {
            lock(&told).push((to.id.to_string(), message.id.as_u128()));
            answer(to, message)
        }));
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

#[tokio::test(start_paused = true)]
async fn the_first_publish_waits_for_the_registry() {
    let (begin, begun) = watch::channel(false);
    let known = MemoryRegistry::new();
    let _lease = known.register(instance("a", &["orders"])).await.expect("registers");
    let got = Arc::new(Mutex::new(0));
    let count = got.clone();
    let courier = Fake(Arc::new(move |_: &Instance, _: &Message| {
        *lock(&count) += 1;
        answer(|| Ok(()))
    }));
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
    let courier = Arc::new(Fake(Arc::new(|_: &Instance, _: &Message| answer(nobody))));
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
    let _lease = publisher.register(instance("dead", &["orders"])).await;
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
async fn a_stream_that_is_cut_is_opened_again() {
    let (cut, streams) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (cutting, opened) = (cut.clone(), streams.clone());
    struct Cut(Arc<Mutex<Vec<ItemSink>>>, Arc<Mutex<u32>>);
    impl Courier for Cut {
        fn open<'a>(
            &'a self,
            _: &'a Instance,
            mut outbound: Outbound,
        ) -> BoxFuture<'a, Result<Items, Status>> {
            let (sink, answers) = stream::items();
            *lock(&self.1) += 1;
            let works = *lock(&self.1) > 2;
            let cut = self.0.clone();
            tasks::spawn(async move {
                while let Some(item) = outbound.recv().await {
                    match Down::read(item).expect("valid") {
                        Down::Events { .. } if works => {
                            drop(sink.send(frame::done(0, [(0, 1)])).await);
                            lock(&cut).push(sink.clone());
                        }
                        Down::Events { .. } => return,
                        _ => {}
                    }
                }
            });
            Box::pin(std::future::ready(Ok(Items::sent(answers))))
        }
    }
    let registry = MemoryRegistry::new();
    let courier = Arc::new(Cut(cutting, opened));
    let broker = DirectBroker::new(Vec::new(), Arc::new(registry.clone()), courier);
    let broker = broker.expect("starts");
    let _lease = registry.register(instance("a", &["orders"])).await.expect("registers");
    idle().await;
    broker.publish(message(1)).await.expect("publishes");
    sleep(Duration::from_secs(2)).await;
    assert_eq!((*lock(&streams), lock(&cut).len()), (3, 1));
    let stats = broker.queues().stats();
    assert_eq!((stats.acknowledged, stats.redelivered, stats.dead_letters), (1, 2, 0));
}
