//! Events from one process to groups in others: each once, in order, and none lost.

use std::collections::{BTreeMap, BTreeSet};

use micro::secs;
use micro_tests::fixture::SourceClient;
use micro_tests::process::{Connected, Home};
use tokio::task::JoinSet;

use super::{counts, serve};

const EVENTS: u64 = 10_000;
/// Enough where it is not the number that matters.
const FEWER: u64 = 3_000;
const KEYS: u64 = 16;
/// Events that one subscriber may have begun and not acknowledged: the broker's window.
const IN_FLIGHT: usize = 64;

/// What a group has handled: the number of each event, in order, by key.
#[derive(Debug, Default)]
struct Handled(BTreeMap<u64, Vec<u64>>);

impl Handled {
    fn of<'a>(lines: impl IntoIterator<Item = &'a String>) -> Self {
        let mut handled = Self::default();
        for line in lines {
            let mut words = line.split(' ');
            if words.next() == Some("tick") {
                let mut number = || words.next().and_then(|word| word.parse().ok());
                let (key, number) = (number().expect("a key"), number().expect("a number"));
                handled.0.entry(key).or_default().push(number);
            }
        }
        handled
    }

    fn numbers(&self) -> BTreeSet<u64> {
        self.0.values().flatten().copied().collect()
    }

    /// How many came again.
    fn repeated(&self) -> usize {
        self.0.values().map(Vec::len).sum::<usize>() - self.numbers().len()
    }

    /// Whether the first time of each event is behind that of its predecessors of the same key.
    fn in_order(&self) -> bool {
        self.0.values().all(|numbers| {
            let mut seen = BTreeSet::new();
            let first = numbers.iter().filter(|number| seen.insert(**number));
            first.is_sorted()
        })
    }
}

/// Publishes that many from the process of `source`, in the background.
fn burst(app: &Connected, count: u64) -> JoinSet<u64> {
    let source: SourceClient = app.service();
    let mut publishing = JoinSet::new();
    publishing.spawn(async move {
        source.burst(0, count, KEYS).timeout(secs(120)).await.expect("publishes")
    });
    publishing
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_gets_each_of_10_000_exactly_once_in_order_per_key() {
    let home = Home::new();
    let (left, right) = (serve(&home, "left").await, serve(&home, "right").await);
    let source = serve(&home, "source").await;
    let app = home.client().await;
    let began = tokio::time::Instant::now();
    let refused = burst(&app, EVENTS).join_all().await;
    println!("published in {:?}", began.elapsed());
    assert_eq!(refused, [0]);
    left.lines(EVENTS as usize).await;
    right.lines(EVENTS as usize).await;
    println!("handled in {:?}", began.elapsed());

    // What would come twice has come by the end of everything.
    source.terminate();
    assert_eq!(source.finished().await.code(), Some(0));
    for process in [left, right] {
        process.terminate();
        let finished = process.finished().await;
        assert_eq!(finished.code(), Some(0));
        let handled = Handled::of(&finished.out);
        assert_eq!(handled.numbers(), (0..EVENTS).collect());
        assert_eq!(handled.repeated(), 0);
        assert_eq!(handled.0.len() as u64, KEYS);
        assert!(handled.in_order());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_killed_and_comes_back_misses_nothing() {
    let home = Home::new();
    let (mut left, right) = (serve(&home, "left").await, serve(&home, "right").await);
    let source = serve(&home, "source").await;
    let app = home.client().await;
    let publishing = burst(&app, EVENTS);
    left.lines(2_000).await;
    left.kill();
    let before = left.finished().await;
    println!("killed after {} events", before.out.len());
    assert!(before.out.len() < EVENTS as usize, "killed in the middle");
    let after = serve(&home, "left").await;
    assert_eq!(publishing.join_all().await, [0]);
    let acked = counts(&source.out.now(), "acked");

    right.lines(EVENTS as usize).await;
    let rest = EVENTS as usize - before.out.len();
    after.lines(rest).await;
    // Everything is handled when the source has nothing left to deliver.
    source.terminate();
    let source = source.finished().await;
    assert_eq!(source.code(), Some(0), "{source:#?}");
    after.terminate();
    let after = after.finished().await;
    let handled = Handled::of(before.out.iter().chain(&after.out));
    assert_eq!(acked.len() as u64, EVENTS);
    assert_eq!(handled.numbers(), acked.keys().copied().collect());
    println!("{} events came twice", handled.repeated());
    assert!(handled.repeated() <= IN_FLIGHT, "{} came twice", handled.repeated());
    assert!(handled.in_order());

    // The other group has not noticed.
    right.terminate();
    let handled = Handled::of(&right.finished().await.out);
    assert_eq!(handled.numbers().len() as u64, EVENTS);
    assert_eq!(handled.repeated(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_restarted_in_order_gets_each_once() {
    let home = Home::new();
    let left = serve(&home, "left").await;
    let source = serve(&home, "source").await;
    let app = home.client().await;
    let publishing = burst(&app, FEWER);
    left.lines(500).await;
    left.terminate();
    let before = left.finished().await;
    assert_eq!(before.code(), Some(0), "{before:#?}");
    println!("stopped after {} events", before.out.len());
    let after = serve(&home, "left").await;
    assert_eq!(publishing.join_all().await, [0]);
    after.lines(FEWER as usize - before.out.len()).await;
    source.terminate();
    assert_eq!(source.finished().await.code(), Some(0));
    after.terminate();
    let after = after.finished().await;
    let handled = Handled::of(before.out.iter().chain(&after.out));
    assert_eq!(handled.numbers(), (0..FEWER).collect());
    assert_eq!(handled.repeated(), 0);
    assert!(handled.in_order());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_of_a_group_share_its_events() {
    let home = Home::new();
    let (one, other) = (serve(&home, "left").await, serve(&home, "left").await);
    let source = serve(&home, "source").await;
    let app = home.client().await;
    assert_eq!(burst(&app, FEWER).join_all().await, [0]);
    source.terminate();
    assert_eq!(source.finished().await.code(), Some(0));
    let mut all = Vec::new();
    for process in [one, other] {
        process.terminate();
        let finished = process.finished().await;
        println!("a share of {}", finished.out.len());
        assert!(!finished.out.is_empty());
        all.extend(finished.out);
    }
    let handled = Handled::of(&all);
    assert_eq!(handled.numbers(), (0..FEWER).collect());
    assert_eq!(handled.repeated(), 0);
}
