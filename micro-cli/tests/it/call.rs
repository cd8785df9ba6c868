//! Unary calls.

use crate::world::World;

#[tokio::test]
async fn a_reply_is_printed_as_json() {
    let world = World::start().await;
    let ran = world.micro(&["call", "greeter.hello", r#"{"name":"Ann"}"#]).await;
    assert_eq!(ran.ok(), "\"Hello, Ann!\"\n");
    assert_eq!(world.micro(&["call", "greeter.add", r#"{"b":-3,"a":5}"#]).await.ok(), "2\n");
    assert_eq!(world.micro(&["call", "greeter.nothing"]).await.ok(), "null\n");
    assert_eq!(world.micro(&["call", "greeter.nothing", "null"]).await.ok(), "null\n");
}

#[tokio::test]
async fn the_request_may_come_from_the_standard_input() {
    let world = World::start().await;
    let ran = world.fed(&["call", "greeter.hello", "-"], "{\"name\":\n\"Ann\"}\n").await;
    assert_eq!(ran.ok(), "\"Hello, Ann!\"\n");
}

#[tokio::test]
async fn json_that_does_not_fit_names_the_fields_and_is_not_sent() {
    let world = World::start().await;
    let wrong = r#"{"name":5,"loud":"very","nmae":"x"}"#;
    let text = world.micro(&["call", "greeter.hello", wrong]).await.failed(4);
    for part in [
        "`name` expected a string, found 5",
        "`loud` expected true or false, found \"very\"",
        "`nmae` is not a field; did you mean `name`?",
        "it takes: {name: a string, loud?: true or false}",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let error = world.micro(&["--json", "call", "greeter.add", r#"{"a":1}"#]).await.error(4);
    assert_eq!(error["mismatches"][0]["path"], "b");
    assert_eq!(error["expected"], "{a: a whole number, b: a whole number}");
    let text = world.micro(&["call", "greeter.hello"]).await.failed(4);
    assert!(text.contains("no JSON was given"), "{text}");
    let text = world.micro(&["call", "greeter.hello", "{"]).await.failed(4);
    assert!(text.contains("not JSON"), "{text}");
}

#[tokio::test]
async fn unknown_names_are_told_with_the_nearest_and_all() {
    let world = World::start().await;
    let text = world.micro(&["call", "greeter.helo", "{}"]).await.failed(3);
    assert!(text.contains("did you mean `hello`?") && text.contains("add, "), "{text}");
    let text = world.micro(&["call", "greter.hello", "{}"]).await.failed(3);
    assert!(text.contains("`greter`") && text.contains("did you mean `greeter`?"), "{text}");
    let error = world.micro(&["call", "zzz.x", "--json"]).await.error(3);
    assert_eq!(error["known"], serde_json::json!(["greeter"]));
}

#[tokio::test]
async fn metadata_travels_beside_the_request() {
    let world = World::start().await;
    let ran = world.micro(&["call", "greeter.tenant", "-m", "tenant=acme=1"]).await;
    assert_eq!(ran.ok(), "\"acme=1\"\n");
    assert_eq!(world.micro(&["call", "greeter.tenant"]).await.ok(), "null\n");
    let ran = world.micro(&["call", "greeter.tenant", "--metadata", "Bad Key=1"]).await;
    assert!(ran.failed(2).contains("metadata key"));
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let mut world = World::start().await;
    let text = world.micro(&["call", "greeter.never", "--timeout", "600ms"]).await.failed(5);
    assert!(text.contains("deadline_exceeded") && text.contains("correlation id"), "{text}");
    assert!(!world.handler_ended().await);
    let text = world.micro(&["call", "greeter.watch", "--timeout", "600ms"]).await;
    assert_eq!((text.exit, text.stdout.as_str()), (5, "1\n"), "{text:?}");
    assert!(!world.handler_ended().await);
}

#[tokio::test]
async fn ctrl_c_cancels_the_call_on_the_server() {
    let mut world = World::start().await;
    for signal in ["-INT", "-TERM"] {
        let mut process =
            crate::world::Process::start(world.home.command(&["call", "greeter.watch"]));
        assert_eq!(process.line().await, "1");
        process.signal(signal);
        assert_eq!(process.end("").await.exit, 130);
        assert!(!world.handler_ended().await);
    }
}

#[tokio::test]
async fn a_typed_fault_is_shown_with_its_value() {
    let world = World::start().await;
    let text = world.micro(&["call", "greeter.quote", "\"tea\""]).await.failed(1);
    assert!(text.contains(r#"fault: QuoteError {"UnknownSku":"tea"}"#), "{text}");
    let error =
        world.micro(&["call", "greeter.quote", r#"{"sku":"tea"}"#, "--json"]).await.error(1);
    assert_eq!(error["fault"]["name"], "QuoteError");
    assert_eq!(error["fault"]["value"]["UnknownSku"], "tea");
    assert_eq!(error["executed"], "yes");
    assert_eq!(error["correlation"].as_str().map(str::len), Some(32));
}
