use bytes::Bytes;
use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::broker::Delivery;
use crate::codec::Encoding;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::topic::{Pattern, Topic};

fn message(topic: &str) -> Message {
    Message {
        id: Id::random(),
        topic: Topic::parse(topic).expect("topic"),
        key: None,
        encoding: Encoding::Json,
        correlation: None,
        metadata: Metadata::new(),
        body: Bytes::from_static(b"1"),
    }
}

fn broker(change: impl FnOnce(&mut Limits)) -> MemoryBroker {
    let mut limits = Limits::default();
    change(&mut limits);
    MemoryBroker::with_limits(limits)
}

async fn subscribe(broker: &MemoryBroker, pattern: &str, group: &str) -> Subscription {
    let pattern = Pattern::parse(pattern).expect("pattern");
    let wanted = Subscribe { pattern, group: group.into(), broadcast: false };
    broker.subscribe(wanted).await.expect("subscribes")
}

async fn next(subscription: &mut Subscription) -> Delivery {
    let next = timeout(Duration::from_secs(60), subscription.next());
    next.await.expect("in time").expect("open")
}

#[tokio::test(start_paused = true)]
async fn a_group_is_kept_for_a_while_and_then_dropped_and_counted() {
    let broker = broker(|_| {});
    let first = subscribe(&broker, "t", "g").await;
    broker.publish(message("t")).await.expect("publishes");
    drop(first);
    broker.publish(message("t")).await.expect("publishes");
    sleep(Duration::from_secs(599)).await;
    let mut second = subscribe(&broker, "t", "g").await;
    next(&mut second).await.ack();
    drop(second);
    sleep(Duration::from_secs(599)).await;
    assert_eq!(broker.stats().groups_dropped, 0);
    sleep(Duration::from_secs(2)).await;
    let Stats { groups_dropped, messages_dropped, .. } = broker.stats();
    assert_eq!((groups_dropped, messages_dropped), (1, 1));
    let mut third = subscribe(&broker, "t", "g").await;
    assert!(timeout(Duration::from_secs(60), third.next()).await.is_err());
    // An empty group goes without a word.
    drop(third);
    sleep(Duration::from_secs(601)).await;
    assert_eq!(broker.stats().groups_dropped, 1);
    assert!(lock(&broker.shared.state).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_in_time_is_delivered_again() {
    let broker = broker(|_| {});
    let mut subscription = subscribe(&broker, "t", "g").await;
    broker.publish(message("t")).await.expect("publishes");
    let began = Instant::now();
    let held = next(&mut subscription).await;
    let again = next(&mut subscription).await;
    assert_eq!((again.message.id, again.attempt), (held.message.id, 2));
    assert!((30_100..30_200).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    held.ack();
    again.nack("too late");
    let Stats { acknowledged, dead_letters, .. } = broker.stats();
    assert_eq!((acknowledged, dead_letters), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_kept_up_to_their_limit() {
    let broker = broker(|limits| {
        limits.attempts = 1;
        limits.dead_letters = 2;
    });
    let mut subscription = subscribe(&broker, "t", "g").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let message = message("t");
        ids.push(message.id.to_string());
        broker.publish(message).await.expect("publishes");
        next(&mut subscription).await.nack("no");
    }
    let kept = broker.dead_letters();
    let kept: Vec<_> = kept.iter().filter_map(|dead| dead.metadata.get("micro-dead-id")).collect();
    assert_eq!(kept, ids[1..]);
    let Stats { dead_letters, dead_letters_dropped, .. } = broker.stats();
    assert_eq!((dead_letters, dead_letters_dropped), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_without_room_is_counted_and_still_in_memory() {
    let broker = broker(|limits| {
        limits.attempts = 1;
        limits.queue_messages = 2;
    });
    let mut subscription = subscribe(&broker, "t", "g").await;
    let _graves = subscribe(&broker, "t.dead", "graves").await;
    for _ in 0..3 {
        broker.publish(message("t")).await.expect("publishes");
        next(&mut subscription).await.nack("no");
    }
    assert_eq!(broker.dead_letters().len(), 3);
    assert_eq!(broker.stats().dead_letters_dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn one_subscription_too_many_is_refused_until_one_goes() {
    let broker = broker(|limits| limits.subscriptions = 2);
    let pattern = Pattern::parse("t").expect("pattern");
    let wanted = Subscribe { pattern, group: "g".into(), broadcast: true };
    let first = broker.subscribe(wanted.clone()).await.expect("one");
    let _second = broker.subscribe(wanted.clone()).await.expect("two");
    let refused = broker.subscribe(wanted.clone()).await.expect_err("three");
    assert!(matches!(refused, BrokerError::TooManySubscriptions { limit: 2 }));
    drop(first);
    broker.subscribe(wanted).await.expect("room again");
}

#[tokio::test(start_paused = true)]
async fn publishing_goes_on_as_soon_as_there_is_room() {
    let broker = broker(|limits| limits.queue_messages = 1);
    let mut subscription = subscribe(&broker, "t", "g").await;
    broker.publish(message("t")).await.expect("publishes");
    let began = Instant::now();
    let waiting = async {
        broker.publish(message("t")).await.expect("there is room");
        began.elapsed()
    };
    let consuming = async {
        sleep(Duration::from_millis(300)).await;
        next(&mut subscription).await.ack();
    };
    let (waited, ()) = tokio::join!(waiting, consuming);
    assert_eq!(waited.as_millis(), 300);
    let refused = broker.publish(message("t")).await.expect_err("is full");
    assert_eq!(refused.to_string(), "the queue of group g is full");
    assert_eq!(refused.into_status().code(), crate::status::Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_at_its_deadline_and_reports_what_is_left() {
    let broker = broker(|_| {});
    let mut stuck = subscribe(&broker, "t", "g").await;
    for _ in 0..3 {
        broker.publish(message("t")).await.expect("publishes");
    }
    let held = next(&mut stuck).await;
    let began = Instant::now();
    assert_eq!(broker.close(began + Duration::from_secs(5)).await, 3);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(stuck.next().await.is_none());
    held.ack();
    assert_eq!(broker.close(Instant::now()).await, 0);
}

#[tokio::test(start_paused = true)]
async fn closing_wakes_who_waits() {
    let broker = broker(|limits| limits.queue_messages = 1);
    let full = subscribe(&broker, "full", "g").await;
    let mut idle = subscribe(&broker, "idle", "g").await;
    broker.publish(message("full")).await.expect("publishes");
    let (refused, ended, left) = tokio::join!(
        broker.publish(message("full")),
        idle.next(),
        broker.close(Instant::now() + Duration::from_millis(100)),
    );
    assert!(matches!(refused, Err(BrokerError::Closed)), "{refused:?}");
    assert!(ended.is_none());
    assert_eq!(left, 1);
    drop(full);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_when_all_ends_are_dropped() {
    let broker = broker(|_| {});
    let mut subscription = subscribe(&broker, "t", "g").await;
    broker.publish(message("t")).await.expect("publishes");
    let held = next(&mut subscription).await;
    let shared = Arc::downgrade(&broker.shared);
    drop((broker, subscription));
    advance(Duration::from_secs(1)).await;
    drop(held);
    assert!(shared.upgrade().is_none());
}
