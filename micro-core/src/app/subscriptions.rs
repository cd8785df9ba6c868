//! Subscriptions of services: from the broker through the interceptors to the user's function.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::broker::{Broker, Delivery, Message, Subscribe, Subscription};
use crate::call::{Incoming, Side, Target};
use crate::context::{Context, Scope};
use crate::id::Id;
use crate::publisher;
use crate::server::Server;
use crate::service::SubscriptionDescriptor;
use crate::status::{Result, Status};
use crate::topic::Pattern;

/// How long a handler may take for one event; the broker then gives it to another.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// All subscriptions of a process.
#[derive(Debug)]
pub(super) struct Subscriptions {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Subscriptions {
    /// Subscribes for every service of `server`.
    pub(super) async fn start(server: &Server, broker: &Arc<dyn Broker>) -> Result<Self> {
        let mut all = Self { stop: watch::Sender::new(false), running: JoinSet::new() };
        let mut taken = HashMap::new();
        for (service, descriptor) in server.router().descriptors().enumerate() {
            for (index, subscription) in descriptor.subscriptions.iter().enumerate() {
                let asked = subscribe(subscription, descriptor.name)?;
                let group = asked.group.clone();
                let name = format!("{}.{}", descriptor.name, subscription.handler);
                if let Some(other) =
                    taken.insert((asked.pattern.clone(), group.clone()), name.clone())
                {
                    return Err(Status::failed_precondition(format!(
                        "`{other}` and `{name}` would share the messages of `{}` in the group `{group}`\n  \
                         help: give one of them a group of its own: `#[subscribe(group = \"..\")]`",
                        asked.pattern
                    )));
                }
                let deliveries = broker.subscribe(asked).await.map_err(|e| e.into_status())?;
                let to = Subscriber { server: server.clone(), service, index, group };
                all.running.spawn(to.run(deliveries, all.stop.subscribe()));
            }
        }
        Ok(all)
    }

    /// Takes no more messages and waits for those that are being handled.
    pub(super) async fn stop(mut self, deadline: Instant) {
        self.stop.send_replace(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        // What is not done by then is delivered again elsewhere.
        let _ = timeout_at(deadline, all).await;
    }
}

fn subscribe(subscription: &SubscriptionDescriptor, service: &str) -> Result<Subscribe> {
    Ok(Subscribe {
        // The pattern selects and the type decides: messages of other topics would not decode.
        pattern: Pattern::parse(subscription.topic)?,
        group: subscription.group.unwrap_or(service).to_owned(),
        broadcast: subscription.broadcast,
    })
}

#[derive(Clone)]
struct Subscriber {
    server: Server,
    service: usize,
    index: usize,
    group: String,
}

impl Subscriber {
    async fn run(self, mut deliveries: Subscription, mut stop: watch::Receiver<bool>) {
        // The broker hands out a bounded number of messages before the first is acknowledged.
        let mut handling = JoinSet::new();
        loop {
            tokio::select! {
                delivery = deliveries.next() => match delivery {
                    Some(delivery) => { handling.spawn(self.clone().handle(delivery)); }
                    None => break,
                },
                Some(_) = handling.join_next() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        // What it had been handed and not begun goes back to the group at once.
        drop(deliveries);
        while handling.join_next().await.is_some() {}
    }

    async fn handle(self, delivery: Delivery) {
        let call = self.call(&delivery.message);
        match self.server.deliver(self.service, self.index, call).await {
            Ok(_) => delivery.ack(),
            Err(status) => {
                tracing::warn!(topic = %delivery.message.topic, group = %self.group, attempt = delivery.attempt, %status, "a subscriber failed");
                delivery.nack(status.to_string());
            }
        }
    }

    fn call(&self, message: &Message) -> Incoming {
        let correlation = message.metadata.get(publisher::CORRELATION);
        let correlation = correlation.and_then(|id| id.parse().ok()).unwrap_or_else(Id::random);
        let deadline = Instant::now() + ACK_WAIT;
        let mut context = Context::with_scope(Scope { deadline, correlation, repeated: false });
        context.set_metadata(message.metadata.clone());
        Incoming {
            target: Target::new(self.group.clone(), message.topic.as_str().to_owned()),
            side: Side::Subscriber,
            context,
            encoding: message.encoding,
            body: message.body.clone(),
            inbound: None,
            outbound: None,
        }
    }
}
