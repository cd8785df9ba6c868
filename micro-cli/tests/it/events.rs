//! Publishing and subscribing.

use serde_json::{Value, json};

use crate::world::{Process, World};

async fn subscriber(world: &World, arguments: &[&str]) -> Process {
    let mut process = Process::start(world.home.command(arguments));
    let said = process.error_line().await;
    assert!(said.starts_with("listening to orders."), "{said}");
    process
}

#[tokio::test]
async fn an_event_reaches_every_group_once() {
    let mut world = World::start().await;
    let one = subscriber(&world, &["subscribe", "orders.*", "--count", "2", "--json"]).await;
    let other = subscriber(&world, &["subscribe", "orders.>", "-n", "2"]).await;
    for id in [1, 2] {
        let event = json!({ "id": id }).to_string();
        let said = world.micro(&["publish", "orders.created", &event, "--key", "k"]).await;
        assert_eq!((said.exit, said.stdout.as_str()), (0, ""), "{said:?}");
        assert!(said.stderr.contains("greeter"), "{said:?}");
        assert_eq!(world.orders.recv().await, Some(id));
    }
    let events = one.end("").await.ok();
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    for (event, id) in events.iter().zip([1, 2]) {
        assert_eq!(event["topic"], "orders.created");
        assert_eq!(event["body"], json!({ "id": id }));
        assert_eq!(event["key"], "k");
        assert_eq!(event["id"].as_str().map(str::len), Some(32));
    }
    assert_ne!(events[0]["id"], events[1]["id"]);
    assert_eq!(other.end("").await.ok(), "orders.created {\"id\":1}\norders.created {\"id\":2}\n");
    assert!(world.orders.try_recv().is_err(), "once");
}

#[tokio::test]
async fn members_of_a_group_share_the_events() {
    let world = World::start().await;
    let watch = ["subscribe", "orders.x", "--group", "audit", "-n", "1"];
    let (one, other) = (subscriber(&world, &watch).await, subscriber(&world, &watch).await);
    let ran = world.micro(&["publish", "orders.x", "1", "--json"]).await.ok();
    let said: Value = serde_json::from_str(&ran).unwrap();
    assert_eq!(said["topic"], "orders.x");
    assert!(said["groups"].as_array().unwrap().contains(&json!("audit")), "{said}");
    world.micro(&["publish", "orders.x", "2"]).await.ok();
    let mut both = [one.end("").await.ok(), other.end("").await.ok()];
    both.sort();
    assert_eq!(both, ["orders.x 1\n", "orders.x 2\n"]);
}

#[tokio::test]
async fn a_service_publishes_to_the_command() {
    let world = World::start().await;
    let watching = subscriber(&world, &["subscribe", "orders.*", "-n", "1"]).await;
    // A process that runs already sees the subscriber when it next looks into the registry.
    let publishing = async {
        loop {
            world.app.publisher().publish(crate::world::OrderCreated { id: 7 }).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let watched = tokio::select! {
        watched = watching.end("") => watched,
        () = publishing => unreachable!("it never ends"),
    };
    assert_eq!(watched.ok(), "orders.created {\"id\":7}\n");
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_not_published() {
    let mut world = World::start().await;
    let text = world.micro(&["publish", "orders.created", r#"{"id":"x"}"#]).await.failed(4);
    assert!(text.contains("`id` expected a whole number, found \"x\""), "{text}");
    assert!(world.orders.try_recv().is_err());
}

#[tokio::test]
async fn nobody_listening_is_said_and_no_failure() {
    let world = World::start().await;
    let ran = world.micro(&["publish", "nobody.cares", "[1,2]"]).await;
    assert!(ran.stderr.contains("nobody listens"), "{ran:?}");
    assert_eq!(ran.ok(), "");
}

#[tokio::test]
async fn ctrl_c_ends_a_subscription_and_takes_it_out_of_the_registry() {
    let world = World::start().await;
    let process = subscriber(&world, &["subscribe", "orders.*"]).await;
    process.signal("-INT");
    process.end("").await.ok();
    let said = world.micro(&["publish", "orders.created", r#"{"id":1}"#, "--json"]).await.ok();
    assert_eq!(said, "{\"groups\":[\"greeter\"],\"topic\":\"orders.created\"}\n");
}
