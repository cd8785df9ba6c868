//! Publisher: how services publish events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::broker::{Broker, BrokerError, Message};
use crate::codec::{self, Encoding};
use crate::context::Context;
use crate::event::Event;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Result, Status};
use crate::topic::Topic;

/// Metadata of a message that comes from elsewhere: the correlation id of what caused it.
pub const CORRELATION: &str = "micro-correlation";

/// How long a publish outside of any call may take: the default deadline of calls.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// Publishes events. Cheap to clone.
///
/// It returns when the broker has the event for every group that listens. Within a handler it waits no
/// longer than the handler's caller, elsewhere 5 s.
#[derive(Clone, Debug)]
pub struct Publisher {
    broker: Arc<dyn Broker>,
}

impl Publisher {
    /// A publisher over this broker.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker }
    }

    /// Publishes an event on its topic, under its key.
    ///
    /// # Errors
    /// `ResourceExhausted` when a group is too far behind, `Unavailable` when the broker is closed or
    /// cannot be reached, `DeadlineExceeded` when it did not answer in time. Only the last, and an
    /// `Unavailable` that says nothing about execution, leave open whether the event was published.
    pub async fn publish<E: Event>(&self, event: E) -> Result<()> {
        let inherited = Context::inherited();
        let message = message(event, inherited.as_ref().map(|scope| scope.correlation))?;
        self.send(message, inherited.map(|scope| scope.deadline)).await
    }

    /// Publishes what is already encoded; for gateways and tests.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn publish_raw(
        &self,
        topic: Topic,
        encoding: Encoding,
        body: Bytes,
        key: Option<String>,
        metadata: Metadata,
    ) -> Result<()> {
        let inherited = Context::inherited();
        let mut metadata = metadata;
        // What came with the message wins: a relay keeps the id of the origin.
        let origin = metadata.get(CORRELATION).and_then(|id| id.parse().ok());
        if origin.is_some() {
            metadata.remove(CORRELATION);
        }
        let correlation = origin.or(inherited.as_ref().map(|scope| scope.correlation));
        let id = Id::random();
        let message = Message { id, topic, key, encoding, correlation, metadata, body };
        self.send(message, inherited.map(|scope| scope.deadline)).await
    }

    async fn send(&self, message: Message, deadline: Option<Instant>) -> Result<()> {
        let deadline = deadline.unwrap_or_else(|| Instant::now() + DEFAULT_WAIT);
        match timeout_at(deadline, self.broker.publish(message)).await {
            Ok(published) => published.map_err(BrokerError::into_status),
            Err(_) => Err(Status::deadline_exceeded(
                "the broker did not answer in time; the event may have been published",
            )),
        }
    }
}

impl Context {
    /// Publishes an event as part of this call; as [`Publisher::publish`].
    ///
    /// # Errors
    /// As [`Publisher::publish`]; `FailedPrecondition` where nothing can be published.
    pub async fn publish<E: Event>(&self, event: E) -> Result<()> {
        let Some(publisher) = self.get::<Publisher>() else {
            return Err(Status::failed_precondition("this call has no publisher"));
        };
        let message = message(event, Some(self.correlation()))?;
        publisher.send(message, Some(self.deadline())).await
    }
}

fn message<E: Event>(event: E, correlation: Option<Id>) -> Result<Message> {
    Ok(Message {
        id: Id::random(),
        topic: Topic::parse(E::TOPIC)?,
        key: event.key(),
        encoding: Encoding::MessagePack,
        correlation,
        metadata: Metadata::new(),
        body: codec::encode(Encoding::MessagePack, &event)?,
    })
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::broker::memory::MemoryBroker;
    use crate::broker::{Capabilities, Subscribe, Subscription};
    use crate::call::BoxFuture;
    use crate::status::Code;
    use crate::topic::Pattern;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct OrderCreated {
        id: u64,
    }

    impl Event for OrderCreated {
        const TOPIC: &'static str = "orders.created";

        fn key(&self) -> Option<String> {
            Some(self.id.to_string())
        }
    }

    async fn all(broker: &MemoryBroker) -> Subscription {
        let pattern = Pattern::parse(">").expect("pattern");
        let wanted = Subscribe { pattern, group: "g".into(), broadcast: false };
        broker.subscribe(wanted).await.expect("subscribes")
    }

    #[tokio::test]
    async fn an_event_goes_to_its_topic_under_its_key_and_the_call_s_correlation() {
        let broker = MemoryBroker::new();
        let mut subscription = all(&broker).await;
        let publisher = Publisher::new(Arc::new(broker));
        let mut context = Context::new(Duration::from_secs(1));
        let correlation = context.correlation();
        context.scope(publisher.publish(OrderCreated { id: 1 })).await.expect("publishes");
        context.insert(publisher.clone());
        context.publish(OrderCreated { id: 2 }).await.expect("publishes");
        publisher.publish(OrderCreated { id: 3 }).await.expect("publishes");
        for id in 1..=3 {
            let delivery = subscription.next().await.expect("open");
            let message = &delivery.message;
            assert_eq!(message.topic.as_str(), "orders.created");
            assert_eq!(message.key, Some(id.to_string()));
            let event: OrderCreated =
                codec::decode(message.encoding, &message.body).expect("decodes");
            assert_eq!(event, OrderCreated { id });
            assert_eq!(message.correlation, (id < 3).then_some(correlation));
            delivery.ack();
        }
    }

    #[tokio::test]
    async fn a_relay_keeps_the_correlation_of_the_origin() {
        let broker = MemoryBroker::new();
        let mut subscription = all(&broker).await;
        let publisher = Publisher::new(Arc::new(broker));
        let mut metadata = Metadata::new();
        let origin = Id::random();
        metadata.insert(CORRELATION, origin.to_string()).expect("valid");
        let topic = Topic::parse("raw").expect("topic");
        let publish =
            publisher.publish_raw(topic, Encoding::Json, Bytes::from_static(b"1"), None, metadata);
        Context::new(Duration::from_secs(1)).scope(publish).await.expect("publishes");
        let delivery = subscription.next().await.expect("open");
        assert_eq!(delivery.message.correlation, Some(origin));
    }

    #[tokio::test]
    async fn a_context_without_a_publisher_says_so() {
        let context = Context::new(Duration::from_secs(1));
        let refused = context.publish(OrderCreated { id: 1 }).await.expect_err("has none");
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }

    /// A broker that never answers.
    #[derive(Debug)]
    struct Hung;

    impl Broker for Hung {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        fn publish(&self, _: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
            Box::pin(std::future::pending())
        }

        fn subscribe(&self, _: Subscribe) -> BoxFuture<'_, Result<Subscription, BrokerError>> {
            Box::pin(std::future::pending())
        }

        fn close(&self, _: Instant) -> BoxFuture<'_, usize> {
            Box::pin(std::future::ready(0))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_publish_waits_longer_than_its_call() {
        let publisher = Publisher::new(Arc::new(Hung));
        let began = Instant::now();
        let late = publisher.publish(OrderCreated { id: 1 }).await.expect_err("never answers");
        assert_eq!((late.code(), began.elapsed()), (Code::DeadlineExceeded, DEFAULT_WAIT));
        let context = Context::new(Duration::from_secs(1));
        let late = context.scope(publisher.publish(OrderCreated { id: 1 })).await;
        assert_eq!(late.expect_err("never answers").code(), Code::DeadlineExceeded);
        assert_eq!(began.elapsed(), DEFAULT_WAIT + Duration::from_secs(1));
    }
}
