//! What every broker must do. A backend says how its processes are made and gets all cases by
//! [`broker_cases!`](crate::broker_cases).

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use micro_core::broker::{
    Broker, BrokerError, DEAD_ATTEMPTS, DEAD_ID, DEAD_REASON, DEAD_TOPIC, Delivery, MAX_BODY,
    Message, Subscribe, Subscription,
};
use micro_core::codec::Encoding;
use micro_core::id::Id;
use micro_core::metadata::Metadata;
use micro_core::topic::{Pattern, Topic};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Three processes that share a broker. Cases publish in process 0 unless they say otherwise.
pub trait Processes {
    /// The broker as a process sees it.
    fn broker(&self, process: usize) -> Arc<dyn Broker>;

    /// Returns when every process knows what every other one listens to.
    fn settled(&self) -> impl Future<Output = ()>;

    /// Ends a process without a word and starts it again with nothing.
    fn kill(&self, process: usize);
}

/// Lists the cases, once for each backend: `broker_cases!(expression that makes the processes)`.
#[macro_export]
macro_rules! broker_cases {
    ($processes:expr) => {
        $crate::broker_cases! { $processes;
            what_is_published_arrives_unchanged
            each_group_gets_each_message_once
            a_group_shares_its_messages
            a_broadcast_reaches_every_member
            all_processes_may_publish
            messages_of_one_key_stay_in_order_and_apart
            a_burst_arrives_exactly_at_two_groups
            what_fails_comes_again_later
            a_delivery_that_is_dropped_comes_again
            what_is_released_goes_to_another_at_once
            what_keeps_failing_becomes_a_dead_letter
            a_dead_letter_can_be_revived
            a_poison_message_does_not_block_its_key
            a_dropped_subscription_gets_nothing_more
            a_consumer_that_ends_midway_loses_nothing
            patterns_select_topics
            one_group_may_listen_to_several_patterns
            a_stuck_group_holds_no_other_up
            a_full_queue_refuses_and_keeps_what_it_took
            a_killed_and_restarted_member_loses_nothing
            duplicates_are_suppressed
            closing_delivers_what_is_left
            what_no_broker_carries_is_refused
        }
    };
    ($processes:expr; $($case:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $case() {
                $crate::conformance::broker::$case(&$processes).await;
            }
        )*
    };
}

/// Longer than any wait of a broker before it delivers again.
const LONG: Duration = Duration::from_secs(60);

/// Everything about a message travels.
pub async fn what_is_published_arrives_unchanged(on: &impl Processes) {
    let mut subscription = subscribe(on, 1, "orders.created", "billing").await;
    on.settled().await;
    let mut sent = keyed("orders.created", "customer-7", 1);
    sent.metadata.insert("tenant", "acme").expect("valid");
    publish(on, sent.clone()).await;
    let delivery = next(&mut subscription).await;
    assert_eq!(delivery.attempt, 1);
    let got = Message::clone(&delivery.message);
    assert_eq!((got.id, &got.topic, &got.key), (sent.id, &sent.topic, &sent.key));
    assert_eq!((got.encoding, &got.metadata), (sent.encoding, &sent.metadata));
    assert_eq!(got.body, sent.body);
    delivery.ack();
    nothing_more(&mut subscription).await;
}

/// Groups do not take from each other.
pub async fn each_group_gets_each_message_once(on: &impl Processes) {
    let mut groups = Vec::new();
    for (process, group) in [(0, "audit"), (1, "billing"), (2, "shipping")] {
        groups.push(subscribe(on, process, "orders", group).await);
    }
    on.settled().await;
    for n in 0..100 {
        publish(on, message("orders", n)).await;
    }
    for subscription in &mut groups {
        assert_eq!(numbers(subscription, 100).await, (0..100).collect());
        nothing_more(subscription).await;
    }
}

/// One member gets each message, and each member gets some.
pub async fn a_group_shares_its_messages(on: &impl Processes) {
    let mut members = Members::default();
    for process in [0, 1, 2, 1] {
        members.start(subscribe(on, process, "orders", "billing").await);
    }
    on.settled().await;
    for n in 0..400 {
        publish(on, message("orders", n)).await;
    }
    sleep(LONG).await;
    let handled = members.end();
    assert!(handled.iter().all(|one| !one.is_empty()), "{:?}", shares(&handled));
    assert_eq!(sorted(&handled), (0..400).collect::<Vec<_>>());
}

/// Each member gets each message, and those of the group beside them still share.
pub async fn a_broadcast_reaches_every_member(on: &impl Processes) {
    let mut everyone = Vec::new();
    for process in [0, 1, 2, 2] {
        let wanted = Subscribe { broadcast: true, ..wanted("config", "billing") };
        everyone.push(on.broker(process).subscribe(wanted).await.expect("subscribes"));
    }
    let mut group = subscribe(on, 1, "config", "billing").await;
    on.settled().await;
    for n in 0..50 {
        publish(on, message("config", n)).await;
    }
    for subscription in everyone.iter_mut().chain([&mut group]) {
        assert_eq!(numbers(subscription, 50).await, (0..50).collect());
        nothing_more(subscription).await;
    }
}

/// It does not matter where a message is published.
pub async fn all_processes_may_publish(on: &impl Processes) {
    let mut billing = subscribe(on, 1, "orders", "billing").await;
    let mut shipping = subscribe(on, 2, "orders", "shipping").await;
    on.settled().await;
    for n in 0..90 {
        let broker = on.broker(n as usize % 3);
        broker.publish(message("orders", n)).await.expect("publishes");
    }
    for subscription in [&mut billing, &mut shipping] {
        assert_eq!(numbers(subscription, 90).await, (0..90).collect());
    }
}

/// However many members there are and however long each message takes.
pub async fn messages_of_one_key_stay_in_order_and_apart(on: &impl Processes) {
    const KEYS: u32 = 7;
    #[derive(Default)]
    struct Line {
        busy: bool,
        handled: Vec<u32>,
    }
    let log: Arc<Mutex<BTreeMap<String, Line>>> = Arc::default();
    let mut members = JoinSet::new();
    for process in [0, 1, 2] {
        let mut subscription = subscribe(on, process, "orders", "billing").await;
        let log = log.clone();
        members.spawn(async move {
            let mut handling = JoinSet::new();
            while let Some(delivery) = subscription.next().await {
                let log = log.clone();
                handling.spawn(async move {
                    let key = delivery.message.key.clone().expect("has a key");
                    let n = number(&delivery.message);
                    let line = |change: &dyn Fn(&mut Line) -> bool| {
                        change(log.lock().expect("lock").entry(key.clone()).or_default())
                    };
                    let was_busy = line(&|line| std::mem::replace(&mut line.busy, true));
                    assert!(!was_busy, "two messages of {key} at once");
                    sleep(Duration::from_millis(u64::from(n * 37 % 11))).await;
                    // Some fail at first: what comes behind must wait for them.
                    let fails = n.is_multiple_of(10) && delivery.attempt == 1;
                    line(&|line| {
                        line.handled.extend((!fails).then_some(n));
                        std::mem::replace(&mut line.busy, false)
                    });
                    if fails { delivery.nack("not yet") } else { delivery.ack() }
                });
                while let Some(done) = handling.try_join_next() {
                    done.expect("handles");
                }
            }
        });
    }
    on.settled().await;
    for n in 0..300 {
        publish(on, keyed("orders", &format!("k{}", n % KEYS), n)).await;
    }
    sleep(LONG).await;
    members.abort_all();
    let log = std::mem::take(&mut *log.lock().expect("lock"));
    assert_eq!(log.len(), KEYS as usize);
    for (key, Line { handled, .. }) in log {
        let first: u32 = key[1..].parse().expect("a number");
        let expected: Vec<u32> = (0..300).filter(|n| n % KEYS == first).collect();
        assert_eq!(handled, expected, "{key}");
    }
}

/// Nothing lost, nothing doubled.
pub async fn a_burst_arrives_exactly_at_two_groups(on: &impl Processes) {
    let mut billing = Members::default();
    let mut shipping = Members::default();
    for process in [1, 2] {
        billing.start(subscribe(on, process, "orders", "billing").await);
        shipping.start(subscribe(on, process, "orders", "shipping").await);
    }
    on.settled().await;
    let mut publishers = JoinSet::new();
    for publisher in 0..10 {
        let broker = on.broker(0);
        publishers.spawn(async move {
            for n in 0..1_000 {
                let message = message("orders", publisher * 1_000 + n);
                broker.publish(message).await.expect("publishes");
            }
        });
    }
    while let Some(done) = publishers.join_next().await {
        done.expect("publishes");
    }
    sleep(LONG).await;
    let all: Vec<u32> = (0..10_000).collect();
    for group in [billing, shipping] {
        assert!(sorted(&group.end()) == all, "exactly what was published");
    }
}

/// With the next attempt, after a while.
pub async fn what_fails_comes_again_later(on: &impl Processes) {
    let mut subscription = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    publish(on, message("orders", 1)).await;
    let began = Instant::now();
    next(&mut subscription).await.nack("not yet");
    let again = next(&mut subscription).await;
    assert_eq!((number(&again.message), again.attempt), (1, 2));
    let waited = began.elapsed();
    assert!((100..1_000).contains(&waited.as_millis()), "{waited:?}");
    again.ack();
    nothing_more(&mut subscription).await;
}

/// A handler that panics or is cancelled has not handled its message.
pub async fn a_delivery_that_is_dropped_comes_again(on: &impl Processes) {
    let mut subscription = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    publish(on, message("orders", 1)).await;
    drop(next(&mut subscription).await);
    let again = next(&mut subscription).await;
    assert_eq!((number(&again.message), again.attempt), (1, 2));
    again.ack();
}

/// Without counting as an attempt.
pub async fn what_is_released_goes_to_another_at_once(on: &impl Processes) {
    let mut first = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    publish(on, message("orders", 1)).await;
    let delivery = next(&mut first).await;
    let mut second = subscribe(on, 2, "orders", "billing").await;
    on.settled().await;
    drop(first);
    on.settled().await;
    delivery.release();
    let began = Instant::now();
    let again = next(&mut second).await;
    assert_eq!((number(&again.message), again.attempt), (1, 1));
    assert!(began.elapsed() < Duration::from_millis(50));
    again.ack();
}

/// It says what, why and how often; and a dead letter that fails is the end.
pub async fn what_keeps_failing_becomes_a_dead_letter(on: &impl Processes) {
    let mut subscription = subscribe(on, 1, "orders", "billing").await;
    let mut graves = subscribe(on, 2, "*.dead", "graves").await;
    on.settled().await;
    let sent = message("orders", 1);
    publish(on, sent.clone()).await;
    for attempt in 1..=5 {
        let delivery = next(&mut subscription).await;
        assert_eq!(delivery.attempt, attempt);
        delivery.nack(format!("no luck the {attempt}th time"));
    }
    for attempt in 1..=5 {
        let dead = next(&mut graves).await;
        let metadata = &dead.message.metadata;
        assert_eq!(dead.message.topic.as_str(), "orders.dead");
        assert_eq!(dead.message.body, sent.body);
        assert_eq!(metadata.get(DEAD_REASON), Some("no luck the 5th time"));
        assert_eq!(metadata.get(DEAD_TOPIC), Some("orders"));
        assert_eq!(metadata.get(DEAD_ATTEMPTS), Some("5"));
        assert_eq!(metadata.get(DEAD_ID), Some(sent.id.to_string().as_str()));
        assert_eq!(dead.attempt, attempt);
        dead.nack("not here either");
    }
    nothing_more(&mut graves).await;
    nothing_more(&mut subscription).await;
}

/// The group that could not handle it gets it again, and no other group does.
pub async fn a_dead_letter_can_be_revived(on: &impl Processes) {
    let mut broken = subscribe(on, 1, "orders", "billing").await;
    let mut sound = subscribe(on, 2, "orders", "shipping").await;
    let mut graves = subscribe(on, 2, "orders.dead", "graves").await;
    on.settled().await;
    publish(on, message("orders", 1)).await;
    next(&mut sound).await.ack();
    for _ in 1..=5 {
        next(&mut broken).await.nack("broken");
    }
    let dead = next(&mut graves).await;
    publish(on, dead.message.revive().expect("is a dead letter")).await;
    dead.ack();
    let again = next(&mut broken).await;
    assert_eq!((number(&again.message), again.attempt), (1, 1));
    again.ack();
    nothing_more(&mut sound).await;
}

/// What comes behind it is handled once it is dead.
pub async fn a_poison_message_does_not_block_its_key(on: &impl Processes) {
    let mut subscription = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    for n in 0..3 {
        publish(on, keyed("orders", "k", n)).await;
    }
    let mut handled = Vec::new();
    while handled.len() < 2 {
        let delivery = next(&mut subscription).await;
        match number(&delivery.message) {
            0 => delivery.nack("poison"),
            n => {
                handled.push(n);
                delivery.ack();
            }
        }
    }
    assert_eq!(handled, [1, 2]);
}

/// And what it would have got goes to the others.
pub async fn a_dropped_subscription_gets_nothing_more(on: &impl Processes) {
    let mut stays = subscribe(on, 1, "orders", "billing").await;
    let leaves = subscribe(on, 2, "orders", "billing").await;
    on.settled().await;
    drop(leaves);
    on.settled().await;
    for n in 0..20 {
        publish(on, message("orders", n)).await;
    }
    assert_eq!(numbers(&mut stays, 20).await, (0..20).collect());
}

/// What it took and did not acknowledge, and what it never took, goes to the next one.
pub async fn a_consumer_that_ends_midway_loses_nothing(on: &impl Processes) {
    let mut first = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    for n in 0..200 {
        publish(on, message("orders", n)).await;
    }
    let mut handled = BTreeSet::new();
    let mut held = Vec::new();
    for i in 0..50 {
        let delivery = next(&mut first).await;
        if i % 2 == 0 {
            handled.insert(number(&delivery.message));
            delivery.ack();
        } else {
            held.push(delivery);
        }
    }
    drop(first);
    drop(held);
    on.settled().await;
    let mut second = subscribe(on, 2, "orders", "billing").await;
    let rest = numbers(&mut second, 175).await;
    assert!(handled.is_disjoint(&rest), "what was acknowledged does not come again");
    handled.extend(rest);
    assert_eq!(handled, (0..200).collect());
    nothing_more(&mut second).await;
}

/// `*` is one token, a last `>` one or more.
pub async fn patterns_select_topics(on: &impl Processes) {
    let topics = ["orders", "orders.created", "orders.eu.created", "users.created"];
    let cases = [
        ("orders.created", vec![1]),
        ("orders.*", vec![1]),
        ("orders.>", vec![1, 2]),
        ("*.created", vec![1, 3]),
        ("*", vec![0]),
        (">", vec![0, 1, 2, 3]),
    ];
    let mut subscriptions = Vec::new();
    for (i, (pattern, _)) in cases.iter().enumerate() {
        subscriptions.push(subscribe(on, i % 3, pattern, "billing").await);
    }
    on.settled().await;
    for (n, topic) in topics.iter().enumerate() {
        publish(on, message(topic, n as u32)).await;
    }
    for (subscription, (pattern, expected)) in subscriptions.iter_mut().zip(cases) {
        let got = numbers(subscription, expected.len()).await;
        assert_eq!(got.into_iter().collect::<Vec<_>>(), expected, "{pattern}");
        nothing_more(subscription).await;
    }
}

/// They do not share: a message for one handler must not reach another.
pub async fn one_group_may_listen_to_several_patterns(on: &impl Processes) {
    let mut orders = subscribe(on, 1, "orders", "billing").await;
    let mut all = subscribe(on, 1, ">", "billing").await;
    on.settled().await;
    for n in 0..10 {
        publish(on, message("orders", n)).await;
    }
    for subscription in [&mut orders, &mut all] {
        assert_eq!(numbers(subscription, 10).await, (0..10).collect());
    }
}

/// Nor the publisher, as long as there is room.
pub async fn a_stuck_group_holds_no_other_up(on: &impl Processes) {
    let mut stuck = subscribe(on, 1, "orders", "stuck").await;
    let mut sound = subscribe(on, 2, "orders", "sound").await;
    on.settled().await;
    publish(on, message("orders", 0)).await;
    let _held = next(&mut stuck).await;
    let began = Instant::now();
    for n in 1..1_000 {
        publish(on, message("orders", n)).await;
    }
    assert_eq!(numbers(&mut sound, 1_000).await, (0..1_000).collect());
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
}

/// After a second, with the group's name; and no group has what was refused.
pub async fn a_full_queue_refuses_and_keeps_what_it_took(on: &impl Processes) {
    let mut slow = subscribe(on, 1, "orders", "slow").await;
    let mut quick = Members::default();
    quick.start(subscribe(on, 2, "orders", "quick").await);
    on.settled().await;
    let body = Bytes::from(vec![0; MAX_BODY]);
    let large =
        |n: u32| Message { key: Some(n.to_string()), body: body.clone(), ..message("orders", n) };
    let mut accepted = 0;
    let refused = loop {
        let began = Instant::now();
        match on.broker(0).publish(large(accepted)).await {
            Ok(()) => accepted += 1,
            Err(error) => break (error, began.elapsed()),
        }
        assert!(accepted < 1_000, "nothing is unbounded");
    };
    let (error, waited) = refused;
    assert!(matches!(&error, BrokerError::Full { group } if group == "slow"), "{error}");
    assert_eq!(error.to_string(), "the queue of group slow is full");
    assert!((1_000..1_100).contains(&waited.as_millis()), "{waited:?}");
    // There is room as soon as somebody is done.
    let key = |delivery: &Delivery| {
        let key = delivery.message.key.as_deref().expect("has a key");
        key.parse::<u32>().expect("a number")
    };
    let broker = on.broker(0);
    let waiting = broker.publish(large(accepted));
    let mut got = BTreeSet::new();
    let consume = async {
        for _ in 0..=accepted {
            let delivery = next(&mut slow).await;
            assert!(got.insert(key(&delivery)), "delivered twice");
            delivery.ack();
        }
    };
    let (published, ()) = tokio::join!(waiting, consume);
    published.expect("there is room");
    assert_eq!(got, (0..=accepted).collect());
    nothing_more(&mut slow).await;
    assert_eq!(quick.end().concat().len(), accepted as usize + 1, "the refused one went nowhere");
}

/// The group is kept, and goes on where it was.
pub async fn a_killed_and_restarted_member_loses_nothing(on: &impl Processes) {
    let mut first = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    for n in 0..100 {
        publish(on, message("orders", n)).await;
    }
    let mut handled = BTreeSet::new();
    let mut held = Vec::new();
    for i in 0..30 {
        let delivery = next(&mut first).await;
        if i < 20 {
            handled.insert(number(&delivery.message));
            delivery.ack();
        } else {
            held.push(delivery);
        }
    }
    on.settled().await;
    on.kill(1);
    drop(held);
    drop(first);
    on.settled().await;
    for n in 100..150 {
        publish(on, message("orders", n)).await;
    }
    // Longer than anybody waits for an answer, shorter than the group is kept.
    sleep(LONG).await;
    let mut second = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    let rest = numbers(&mut second, 130).await;
    assert!(handled.is_disjoint(&rest), "what was acknowledged does not come again");
    handled.extend(rest);
    assert_eq!(handled, (0..150).collect());
    nothing_more(&mut second).await;
}

/// While the first one waits, while it is handled, and afterwards.
pub async fn duplicates_are_suppressed(on: &impl Processes) {
    let mut subscription = subscribe(on, 1, "orders", "billing").await;
    on.settled().await;
    let sent = message("orders", 1);
    publish(on, sent.clone()).await;
    publish(on, sent.clone()).await;
    let delivery = next(&mut subscription).await;
    publish(on, sent.clone()).await;
    delivery.ack();
    on.settled().await;
    publish(on, sent).await;
    nothing_more(&mut subscription).await;
}

/// Also what handling it publishes; then it takes no more.
pub async fn closing_delivers_what_is_left(on: &impl Processes) {
    let mut members = Members::default();
    members.start(subscribe(on, 1, "later", "billing").await);
    let mut slow = subscribe(on, 2, "orders", "billing").await;
    on.settled().await;
    for n in 0..20 {
        publish(on, message("orders", n)).await;
    }
    let broker = on.broker(0);
    let handle = async {
        for n in 0..20 {
            let delivery = next(&mut slow).await;
            sleep(Duration::from_millis(10)).await;
            publish(on, message("later", n)).await;
            delivery.ack();
        }
    };
    let close = broker.close(Instant::now() + LONG);
    let (left, ()) = tokio::join!(close, handle);
    assert_eq!(left, 0);
    assert_eq!(sorted(&members.end()), (0..20).collect::<Vec<_>>());
    let refused = broker.publish(message("orders", 99)).await;
    assert!(matches!(refused, Err(BrokerError::Closed)), "{refused:?}");
    let refused = broker.subscribe(wanted("orders", "late")).await;
    assert!(matches!(refused, Err(BrokerError::Closed)), "{refused:?}");
}

/// Too large, without an id, for a group without a name.
pub async fn what_no_broker_carries_is_refused(on: &impl Processes) {
    let fits = Message { body: vec![0; MAX_BODY].into(), ..message("orders", 0) };
    on.broker(0).publish(fits).await.expect("fits");
    for wrong in [
        Message { body: vec![0; MAX_BODY + 1].into(), ..message("orders", 0) },
        Message { id: Id::NIL, ..message("orders", 0) },
        keyed("orders", &"k".repeat(2_000), 0),
    ] {
        let refused = on.broker(0).publish(wrong).await;
        assert!(matches!(refused, Err(BrokerError::Invalid(_))), "{refused:?}");
    }
    for group in ["", "Billing", "a b", "a/b", &"g".repeat(129)] {
        let refused = on.broker(0).subscribe(wanted("orders", group)).await;
        assert!(matches!(refused, Err(BrokerError::Invalid(_))), "{group:?}");
    }
}

/// Members of a group that handle everything that they get.
#[derive(Default)]
struct Members {
    tasks: JoinSet<()>,
    handled: Vec<Arc<Mutex<Vec<u32>>>>,
}

impl Members {
    fn start(&mut self, mut subscription: Subscription) {
        let handled: Arc<Mutex<Vec<u32>>> = Arc::default();
        self.handled.push(handled.clone());
        self.tasks.spawn(async move {
            while let Some(delivery) = subscription.next().await {
                handled.lock().expect("lock").push(number(&delivery.message));
                // As handlers do, so that members work side by side.
                tokio::task::yield_now().await;
                delivery.ack();
            }
        });
    }

    /// What each of them has handled.
    fn end(mut self) -> Vec<Vec<u32>> {
        self.tasks.abort_all();
        self.handled
            .iter()
            .map(|handled| std::mem::take(&mut *handled.lock().expect("lock")))
            .collect()
    }
}

fn sorted(handled: &[Vec<u32>]) -> Vec<u32> {
    let mut all = handled.concat();
    all.sort_unstable();
    all
}

fn shares(handled: &[Vec<u32>]) -> Vec<usize> {
    handled.iter().map(Vec::len).collect()
}

fn message(topic: &str, n: u32) -> Message {
    Message {
        id: Id::random(),
        topic: Topic::parse(topic).expect("topic"),
        key: None,
        encoding: Encoding::Json,
        correlation: None,
        metadata: Metadata::new(),
        body: Bytes::copy_from_slice(&n.to_be_bytes()),
    }
}

fn keyed(topic: &str, key: &str, n: u32) -> Message {
    Message { key: Some(key.to_owned()), ..message(topic, n) }
}

fn number(message: &Message) -> u32 {
    let bytes = message.body.get(..4).expect("a body of this suite");
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

fn wanted(pattern: &str, group: &str) -> Subscribe {
    let pattern = Pattern::parse(pattern).expect("pattern");
    Subscribe { pattern, group: group.to_owned(), broadcast: false }
}

async fn subscribe(
    on: &impl Processes,
    process: usize,
    pattern: &str,
    group: &str,
) -> Subscription {
    on.broker(process).subscribe(wanted(pattern, group)).await.expect("subscribes")
}

async fn publish(on: &impl Processes, message: Message) {
    on.broker(0).publish(message).await.expect("publishes");
}

async fn next(subscription: &mut Subscription) -> Delivery {
    let delivery = timeout(LONG, subscription.next()).await.expect("a message comes in time");
    delivery.expect("the broker is open")
}

/// Acknowledges so many, each of which comes once.
async fn numbers(subscription: &mut Subscription, count: usize) -> BTreeSet<u32> {
    let mut all = BTreeSet::new();
    for _ in 0..count {
        let delivery = next(subscription).await;
        assert!(all.insert(number(&delivery.message)), "delivered twice");
        delivery.ack();
    }
    all
}

async fn nothing_more(subscription: &mut Subscription) {
    if let Ok(Some(more)) = timeout(LONG, subscription.next()).await {
        panic!("unexpected: {more:?}");
    }
}
