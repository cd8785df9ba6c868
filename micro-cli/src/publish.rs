//! `micro publish`: an event for everybody who listens.

use std::collections::BTreeSet;

use bytes::Bytes;
use micro_core::app;
use micro_core::registry::Instance;
use micro_core::schema::Document;
use micro_core::{Encoding, Metadata, Status, Topic};
use serde_json::json;
use tokio::time::Instant;

use crate::args::Publish;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(
    session: &Session,
    publish: &Publish,
    out: &mut Output,
) -> Result<(), Failure> {
    let Publish { topic, body, key, metadata, timeout } = publish;
    let deadline = Instant::now() + timeout.unwrap_or(session.settings().drain_timeout);
    let json = input::argument(Some(body))?;
    let mut beside = Metadata::new();
    for (key, value) in metadata {
        beside.insert(key, value).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let listeners = listeners(session, topic).await?;
    let schema = schema(session, topic, &listeners).await.unwrap_or_default();
    let body: Bytes = input::checked(topic.as_str(), &schema, json.as_deref(), None)?;
    let publisher = session.running().publisher();
    publisher.publish_raw(topic.clone(), Encoding::Json, body, key.clone(), beside).await?;
    // The broker of this process ends with it: what it has not delivered by then would be lost.
    let left = session.running().broker().close(deadline).await;
    if left > 0 {
        return Err(Status::deadline_exceeded(format!(
            "{left} groups of subscribers did not acknowledge the event in time"
        ))
        .into());
    }
    let groups: BTreeSet<&str> = listeners
        .iter()
        .flat_map(|instance| &instance.subscriptions)
        .filter(|listening| listening.pattern.matches(topic))
        .map(|listening| listening.group.as_str())
        .collect();
    if out.json() {
        return out.value(&json!({"topic": topic.as_str(), "groups": groups}));
    }
    match groups.len() {
        0 => eprintln!("published to {topic}; nobody listens"),
        _ => {
            let groups = groups.into_iter().collect::<Vec<_>>().join(", ");
            eprintln!("published to {topic}: {}", crate::output::plain(&groups));
        }
    }
    Ok(())
}

/// The instances that say they listen to the topic.
async fn listeners(session: &Session, topic: &Topic) -> Result<Vec<Instance>, Failure> {
    let mut found = session.instances().await?;
    found.retain(|i| i.subscriptions.iter().any(|listening| listening.pattern.matches(topic)));
    Ok(found)
}

/// What the event looks like, as the first subscriber that answers says. Nothing is known of an event that
/// no service takes.
async fn schema(session: &Session, topic: &Topic, listeners: &[Instance]) -> Option<Document> {
    // One of each service: all of its instances take the same.
    let mut of_each = listeners.to_vec();
    of_each.dedup_by(|a, b| a.service == b.service);
    let describe = |client, instance: Instance, wait| async move {
        app::describe(&client, &instance, wait).await
    };
    let answers = session.ask_all(&of_each, describe).await;
    let services = answers.into_iter().filter_map(Result::ok).flatten();
    let mut events = services.flat_map(|service| service.subscriptions);
    events.find(|subscription| subscription.topic == topic.as_str()).map(|found| found.event)
}
