//! A process that is told to stop finishes what it has begun, and nobody notices.

use std::collections::BTreeMap;

use micro::{millis, secs};
use micro_core::Executed;
use micro_tests::fixture::{CounterClient, NumbersClient};
use micro_tests::process::{Connected, Finished, Home, Process};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::load::{Load, audit, failed};
use super::{counts, fixture};

const CALLERS: usize = 64;

/// Callers of a handler that may not run twice, so that no retry hides anything.
async fn load(app: &Connected) -> Load {
    let counter: CounterClient = app.service();
    let mut load = Load::start(CALLERS, move |id| {
        let counter = counter.clone();
        async move { counter.add(id, 2).await }
    });
    load.more(500).await;
    load
}

/// A process with so much time to drain that no test would see its end.
async fn patient(home: &Home, services: &str) -> Process {
    fixture(home, services).args(["--drain-timeout", "600s"]).serve().await
}

/// Tells it to stop and waits until it has.
async fn stop(process: Process) -> Finished {
    process.terminate();
    let finished = process.finished().await;
    assert_eq!(finished.code(), Some(0), "{finished:#?}");
    finished
}

fn ran(processes: &[Finished]) -> BTreeMap<u64, usize> {
    counts(processes.iter().flat_map(|process| &process.out), "add")
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_fails_no_call() {
    let home = Home::new();
    let (one, other) = (patient(&home, "counter").await, patient(&home, "counter").await);
    let app = home.client().await;
    let mut load = load(&app).await;
    one.lines(1).await;
    other.lines(1).await;

    let began = Instant::now();
    let one = stop(one).await;
    println!("drained in {:?}", began.elapsed());
    load.more(1_000).await;
    let called = load.stop().await;
    assert_eq!(failed(&called), Vec::<String>::new());
    let other = stop(other).await;
    println!("{} calls", called.len());
    assert_eq!(audit(&called, &ran(&[one, other])), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_call() {
    let home = Home::new();
    let mut running = vec![patient(&home, "counter").await, patient(&home, "counter").await];
    let app = home.client().await;
    let mut load = load(&app).await;
    let mut stopped = Vec::new();
    for _ in 0..6 {
        running.push(patient(&home, "counter").await);
        stopped.push(stop(running.remove(0)).await);
        load.more(300).await;
    }
    let called = load.stop().await;
    assert_eq!(failed(&called), Vec::<String>::new());
    for process in running {
        stopped.push(stop(process).await);
    }
    println!("{} calls over {} processes", called.len(), stopped.len());
    assert!(stopped.iter().all(|process| !process.out.is_empty()), "every process was called");
    assert_eq!(audit(&called, &ran(&stopped)), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_streams_in_flight_end_when_the_only_instance_stops() {
    let home = Home::new();
    let only = patient(&home, "counter,numbers").await;
    let app = home.client().await;
    let (counter, numbers): (CounterClient, NumbersClient) = (app.service(), app.service());
    let mut calls = JoinSet::new();
    for id in 0..32 {
        let counter = counter.clone();
        calls.spawn(async move { counter.hold(id, 1_500).await });
    }
    let mut stream = numbers.count(100_000).await.expect("opens");
    let mut next = 0;
    for _ in 0..10 {
        assert_eq!(stream.next().await.expect("an item").expect("a number"), next);
        next += 1;
    }
    only.lines(32).await;

    only.terminate();
    only.error_line(|line| line.starts_with("stopping")).await;
    // It says so just before it tells its clients.
    let mut taken = 0;
    let late = loop {
        match counter.add(taken, 0).await {
            Ok(_) => taken += 1,
            Err(late) => break late,
        }
    };
    assert_eq!(late.executed(), Executed::No, "{late}");
    while let Some(call) = calls.join_next().await {
        call.expect("no panic").expect("it was in flight");
    }
    while let Some(item) = stream.next().await {
        assert_eq!(item.expect("the stream goes on to its end"), next);
        next += 1;
    }
    assert_eq!(next, 100_000);
    let finished = only.finished().await;
    assert_eq!(finished.code(), Some(0), "{finished:#?}");
    assert_eq!(finished.out.iter().filter(|line| line.starts_with("end ")).count(), 32);
    assert_eq!(counts(&finished.out, "add").into_values().sum::<usize>() as u64, taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_takes_no_longer_than_it_may() {
    let home = Home::new();
    let only = fixture(&home, "counter").args(["--drain-timeout", "1s"]).serve().await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let call =
        JoinSet::from_iter([async move { counter.hold(1, 600_000).timeout(secs(600)).await }]);
    only.lines(1).await;
    let began = Instant::now();
    let finished = stop(only).await;
    let took = began.elapsed();
    println!("stopped in {took:?}");
    assert!(took >= millis(900), "the call had a second");
    assert!(took < secs(30), "{took:?}");
    assert_eq!(finished.out, ["begin 1", "dropped 1"]);
    let status = call.join_all().await.remove(0).expect_err("it was cut");
    assert_eq!(status.executed(), Executed::Maybe, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    let only = patient(&home, "counter").await;
    let app = home.client().await;
    let counter: CounterClient = app.service();
    let mut call = JoinSet::new();
    call.spawn(async move { counter.hold(1, 600_000).timeout(secs(600)).await });
    only.lines(1).await;
    only.terminate();
    only.error_line(|line| line.starts_with("stopping")).await;
    only.terminate();
    let finished = only.finished().await;
    assert_eq!(finished.code(), Some(130), "{finished:#?}");
    let status = call.join_next().await.expect("one").expect("no panic").expect_err("cut");
    assert_ne!(status.executed(), Executed::No, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_nobody_calls_stops_at_once() {
    let home = Home::new();
    let began = Instant::now();
    stop(patient(&home, "counter,left").await).await;
    println!("started and stopped in {:?}", began.elapsed());
}
