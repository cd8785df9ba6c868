//! `micro subscribe`: prints events as they come.

use std::time::Duration;

use micro_core::broker::{Message, Subscribe as Wanted};
use micro_core::codec;
use micro_core::registry::{Listening, Update};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::args::Subscribe;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;

/// How long the registry may take to show that we listen.
const KNOWN: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    session: &Session,
    subscribe: &Subscribe,
    out: &mut Output,
) -> Result<(), Failure> {
    let group = subscribe.group.clone().unwrap_or_else(|| session.name().to_owned());
    let wanted = Wanted { pattern: subscribe.pattern.clone(), group, broadcast: false };
    let broker = session.running().broker();
    let subscription = broker.subscribe(wanted.clone()).await;
    let mut deliveries = subscription.map_err(|error| Failure::Status(error.into_status()))?;
    // Whoever publishes from now on finds us; scripts wait for this line.
    if timeout(KNOWN, known(session, &wanted)).await.is_ok() {
        eprintln!("listening to {} as group {}; Ctrl-C ends", wanted.pattern, wanted.group);
    } else {
        eprintln!("listening to {}, but the registry does not show it yet", wanted.pattern);
    }
    let mut left = subscribe.count;
    while left != Some(0) {
        let Some(delivery) = deliveries.next().await else { break };
        // Dropped on an error, the event goes to another member of the group.
        print(&delivery.message, out)?;
        delivery.ack();
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// Returns when the registry shows that this process listens. Other brokers than the embedded one do not
/// show in the registry, and listen when they say so.
async fn known(session: &Session, wanted: &Wanted) {
    if !session.settings().broker.starts_with("direct") {
        return;
    }
    let ours = Listening::from(wanted.clone());
    let Ok(mut updates) = session.registry().watch(Some(session.name())).await else { return };
    while let Some(update) = updates.next().await {
        let shown = match update {
            Update::Add(instance) => instance.subscriptions.contains(&ours),
            Update::Reset(all) => all.iter().any(|i| i.subscriptions.contains(&ours)),
            Update::Remove(_) => false,
        };
        if shown {
            return;
        }
    }
}

fn print(message: &Message, out: &mut Output) -> Result<(), Failure> {
    let Message { id, topic, key, encoding, correlation: _, metadata: _, body } = message;
    let body = codec::decode_value(*encoding, body).unwrap_or_else(|status| {
        eprintln!("{topic}: {}", crate::output::plain(status.message()));
        Value::Null
    });
    match out.json() {
        true => out.value(&json!({
            "topic": topic.as_str(),
            "id": id.to_string(),
            "key": key,
            "body": body,
        })),
        false => out.line(&format!("{topic} {}", crate::json::one_line(&body.to_string()))),
    }
}
