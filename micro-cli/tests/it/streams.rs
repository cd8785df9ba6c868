//! Streaming calls.

use crate::world::{Process, World};

#[tokio::test]
async fn a_server_stream_is_printed_an_item_a_line() {
    let world = World::start().await;
    let expected: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(world.micro(&["call", "greeter.ticks", "10000"]).await.ok(), expected);
    assert_eq!(world.micro(&["call", "greeter.ticks", r#"{"upto":2}"#]).await.ok(), "0\n1\n");
}

#[tokio::test]
async fn lines_of_the_standard_input_are_the_items_of_a_client_stream() {
    let world = World::start().await;
    let lines: String = (1..=1_000).map(|n| format!("{n}\n\n")).collect();
    assert_eq!(world.fed(&["call", "greeter.sum"], &lines).await.ok(), "500500\n");
    assert_eq!(world.fed(&["call", "greeter.sum", "-"], "7").await.ok(), "7\n");
    assert_eq!(world.fed(&["call", "greeter.sum"], "").await.ok(), "0\n");
}

#[tokio::test]
async fn an_item_that_does_not_fit_names_its_line_and_cancels_the_call() {
    let mut world = World::start().await;
    let text = world.fed(&["call", "greeter.sum"], "1\n\n\"x\"\n").await.failed(4);
    assert!(text.contains("line 3:") && text.contains("expected a whole number"), "{text}");
    let mut process = Process::start(world.home.command(&["call", "greeter.shout"]));
    process.write("\"quic\"\n");
    assert_eq!(process.line().await, "\"QUIC\"");
    process.end("5\n").await.failed(4);
    assert!(!world.handler_ended().await, "half of the items must not look like all of them");
}

#[tokio::test]
async fn a_bidirectional_stream_answers_while_it_is_written() {
    let world = World::start().await;
    let mut process = Process::start(world.home.command(&["call", "greeter.shout"]));
    for (word, shouted) in [("\"quic\"\n", "\"QUIC\""), ("\"is\"\n", "\"IS\"")] {
        process.write(word);
        assert_eq!(process.line().await, shouted);
    }
    assert_eq!(process.end("\"quick\"").await.ok(), "\"QUICK\"\n");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let world = World::start().await;
    let mut process = Process::start(world.home.command(&["call", "greeter.ticks", "4000000000"]));
    assert_eq!(process.line().await, "0");
    process.close_output();
    let ran = process.end("").await;
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""), "{ran:?}");
}
