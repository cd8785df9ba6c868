//! Streams between processes: whole, in order, and never further ahead than their reader allows.

use micro::Code;
use micro_tests::fixture::NumbersClient;
use micro_tests::process::Home;

use super::serve;

/// Bytes of one item, and how many make 1 GiB.
const SIZE: usize = 64 * 1024;
const ITEMS: u64 = (1 << 30) / SIZE as u64;
/// Items that may be on their way: what a stream's window (1 MiB), the buffers of both ends and quinn's
/// own hold, and as much again.
const AHEAD: u64 = 64;
/// KiB by which the writer may grow meanwhile.
const GROWTH: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stream_arrives_exactly_and_in_order() {
    let home = Home::new();
    let _server = serve(&home, "numbers").await;
    let app = home.client().await;
    let numbers: NumbersClient = app.service();
    let mut stream = numbers.count(10_000).await.expect("opens");
    let mut next = 0;
    while let Some(item) = stream.next().await {
        assert_eq!(item.expect("a number"), next);
        next += 1;
    }
    assert_eq!(next, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_kinds_of_streams_arrive_too() {
    let home = Home::new();
    let _server = serve(&home, "numbers").await;
    let app = home.client().await;
    let numbers: NumbersClient = app.service();

    let (send, sum) = numbers.sum().await.expect("opens");
    for n in 0..10_000 {
        send.send(n).await.expect("sends");
    }
    drop(send);
    assert_eq!(sum.await.expect("a sum"), (0..10_000).sum::<i64>());

    let (send, mut doubled) = numbers.double().await.expect("opens");
    for n in 0..1_000 {
        send.send(n).await.expect("sends");
        assert_eq!(doubled.next().await.expect("an item").expect("a number"), n * 2);
    }
    drop(send);
    assert!(doubled.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_writer_back() {
    let home = Home::new();
    let server = serve(&home, "numbers").await;
    let app = home.client().await;
    let numbers: NumbersClient = app.service();
    numbers.sent().await.expect("connected");
    let before = server.resident();

    let mut blobs = numbers.blobs(ITEMS, SIZE).await.expect("opens");
    let mut most = 0;
    for read in 1..=100 {
        let blob = blobs.next().await.expect("an item").expect("a blob");
        assert_eq!(blob.len(), SIZE);
        // The question goes round while the writer could write: that makes this reader a slow one.
        let sent = numbers.sent().await.expect("answers beside the stream");
        most = most.max(sent.saturating_sub(read));
    }
    // Nobody reads any more. The writer must have stopped when a long row of questions finds no change.
    let (mut sent, mut same) = (0, 0);
    while same < 500 {
        let now = numbers.sent().await.expect("answers");
        same = if now == sent { same + 1 } else { 0 };
        sent = now;
    }
    most = most.max(sent - 100);
    let growth = server.resident().saturating_sub(before);
    println!(
        "of {ITEMS} items at most {most} were ahead of the reader; the writer grew {growth} KiB from {before} KiB"
    );
    assert!(most <= AHEAD, "{most} items ahead");
    assert!(growth <= GROWTH, "{growth} KiB");

    // A reader that has enough ends the writer.
    drop(blobs);
    server.line(|line| line == "dropped blobs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_data_passes_through_little_memory() {
    let home = Home::new();
    let server = serve(&home, "numbers").await;
    let app = home.client().await;
    let numbers: NumbersClient = app.service();
    numbers.sent().await.expect("connected");
    let before = server.resident();
    let count = 1_024;
    let mut blobs = numbers.blobs(count, SIZE).await.expect("opens");
    let mut read = 0;
    while let Some(blob) = blobs.next().await {
        assert_eq!(blob.expect("a blob").len(), SIZE);
        read += 1;
    }
    assert_eq!(read, count);
    let growth = server.resident().saturating_sub(before);
    println!("{} MiB streamed; the writer grew {growth} KiB", (count * SIZE as u64) >> 20);
    assert!(growth <= 2 * GROWTH, "{growth} KiB");
    server.line(|line| line == "end blobs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_stream_comes_behind_what_was_sent() {
    let home = Home::new();
    let _server = serve(&home, "numbers").await;
    let app = home.client().await;
    let numbers: NumbersClient = app.service();
    let mut stream = numbers.panics(3).await.expect("opens");
    for n in 0..3 {
        assert_eq!(stream.next().await.expect("an item").expect("a number"), n);
    }
    let status = stream.next().await.expect("an end").expect_err("a failure");
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("purpose"), "{status}");
    assert!(stream.next().await.is_none());
    numbers.sent().await.expect("the process goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_server_is_killed_ends_with_an_error() {
    let home = Home::new();
    let mut server = serve(&home, "numbers").await;
    let app = home.client().await;
    let numbers: NumbersClient = app.service();
    let mut stream = numbers.blobs(ITEMS, SIZE).await.expect("opens");
    stream.next().await.expect("an item").expect("a blob");
    server.kill();
    let status = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(status)) => break status,
            None => panic!("a stream that was cut must not look whole"),
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}
