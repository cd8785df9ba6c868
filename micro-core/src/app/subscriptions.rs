//! Subscriptions of services: from the broker through the interceptors to the user's function.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::poll_fn;
use std::mem::take;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::broker::{Broker, Delivery, Message, Subscribe, Subscription};
use crate::call::{Incoming, Outcome, Side, Target};
use crate::context::{Context, Scope};
use crate::id::Id;
use crate::server::Server;
use crate::service::SubscriptionDescriptor;
use crate::status::{Result, Status};
use crate::topic::Pattern;
use crate::transport::Begun;

/// How long a handler may take for one event; the broker then gives it to another.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Messages that are begun between looks at the clock.
const RUN: usize = 64;
/// Messages that are begun before other tasks get their turn, unless they take longer than [`LONG`]. What
/// was handled is acknowledged once a turn, so that longer ones cost less.
const TURN: usize = 8 * RUN;
const LONG: Duration = Duration::from_micros(500);
/// Messages of one subscription that are handled at a time; more wait where they are, or go to others.
const AT_ONCE: usize = 256;
/// Handlers that take longer before they wait, on average of a turn, should have a task each, so that
/// several run side by side: a task costs less than a tenth of that.
const SLOW: Duration = Duration::from_micros(50);
/// Turns in a row that must be slow: one may be the fault of the system.
const SLOW_TURNS: u32 = 3;
/// How long handlers then get tasks, until they are measured again.
const SLOW_FOR: Duration = Duration::from_secs(10);

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
                let group = subscription.group.unwrap_or(descriptor.name);
                let asked = subscribe(subscription, group)?;
                let name = format!("{}.{}", descriptor.name, subscription.handler);
                if let Some(other) = taken.insert((asked.pattern.clone(), group), name.clone()) {
                    return Err(Status::failed_precondition(format!(
                        "`{other}` and `{name}` would share the messages of `{}` in the group `{group}`\n  \
                         help: give one of them a group of its own: `#[subscribe(group = \"..\")]`",
                        asked.pattern
                    )));
                }
                let deliveries = broker.subscribe(asked).await.map_err(|e| e.into_status())?;
                let (server, topic) = (server.clone(), subscription.topic);
                let to = Subscriber { server, service, index, group, topic };
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

fn subscribe(subscription: &SubscriptionDescriptor, group: &str) -> Result<Subscribe> {
    Ok(Subscribe {
        // The pattern selects and the type decides: messages of other topics would not decode.
        pattern: Pattern::parse(subscription.topic)?,
        group: group.to_owned(),
        broadcast: subscription.broadcast,
    })
}

struct Subscriber {
    server: Server,
    service: usize,
    index: usize,
    group: &'static str,
    topic: &'static str,
}

/// What handles the messages of a subscription: where they are taken, as long as handlers do not wait.
struct Handling {
    deliveries: Subscription,
    /// Handlers that wait for something.
    waiting: JoinSet<()>,
    /// Turns in a row in which handlers took long before they waited.
    slow_turns: u32,
    /// Until when each gets a task at once because of that.
    slow_until: Option<Instant>,
}

impl Subscriber {
    async fn run(self, deliveries: Subscription, mut stop: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut handling = Handling::new(deliveries);
        let mut stopped = pin!(stop.wait_for(|stop| *stop));
        poll_fn(|cx| match stopped.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => handling.poll(&this, cx),
        })
        .await;
        // What it had been handed and not begun goes back to the group at once.
        let Handling { deliveries, mut waiting, .. } = handling;
        drop(deliveries);
        while waiting.join_next().await.is_some() {}
    }

    /// Begins to handle a message, and ends it if it does not have to wait.
    fn begin(
        self: &Arc<Self>,
        mut delivery: Delivery,
        now: Instant,
        cx: &mut TaskContext<'_>,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let event = self.event(&mut delivery.message, now);
        match self.server.deliver(self.service, self.index, event, cx) {
            Begun::Ended(outcome) => {
                self.ended(delivery, outcome);
                None
            }
            Begun::Waits(rest) => {
                let this = Arc::clone(self);
                Some(async move { this.ended(delivery, rest.in_time().await) })
            }
        }
    }

    /// Handles a message in a task of its own.
    async fn handle(self: Arc<Self>, delivery: Delivery) {
        let mut delivery = Some(delivery);
        let rest = poll_fn(|cx| {
            // Ready at its first poll, it is not polled again.
            let begun = delivery.take().and_then(|d| self.begin(d, Instant::now(), cx));
            Poll::Ready(begun)
        });
        if let Some(rest) = rest.await {
            rest.await;
        }
    }

    fn ended(&self, delivery: Delivery, outcome: Outcome) {
        let Err(status) = outcome else { return delivery.ack() };
        let (topic, group, attempt) = (&delivery.message.topic, self.group, delivery.attempt);
        tracing::warn!(%topic, group, attempt, %status, "a subscriber failed");
        delivery.nack(status.to_string());
    }

    fn event(&self, message: &mut Arc<Message>, now: Instant) -> Incoming {
        // Whoever else has the message still needs it whole.
        let (metadata, body) = match Arc::get_mut(message) {
            Some(Message { metadata, body, .. }) => (take(metadata), take(body)),
            None => (message.metadata.clone(), message.body.clone()),
        };
        let correlation = message.correlation.unwrap_or_else(Id::random);
        let scope = Scope { deadline: now + ACK_WAIT, correlation, repeated: false };
        let mut context = Context::with_scope(scope);
        context.set_metadata(metadata);
        // All are of the type's own topic as long as that is what was subscribed to.
        let topic = match message.topic.as_str() {
            topic if topic == self.topic => Cow::Borrowed(self.topic),
            other => Cow::Owned(other.to_owned()),
        };
        Incoming {
            target: Target::new(self.group, topic),
            side: Side::Subscriber,
            context,
            encoding: message.encoding,
            body,
            inbound: None,
            outbound: None,
        }
    }
}

impl Handling {
    fn new(deliveries: Subscription) -> Self {
        Self { deliveries, waiting: JoinSet::new(), slow_turns: 0, slow_until: None }
    }

    /// Handles what there is, and ends when there will be nothing more.
    fn poll(&mut self, subscriber: &Arc<Subscriber>, cx: &mut TaskContext<'_>) -> Poll<()> {
        while let Poll::Ready(Some(_)) = self.waiting.poll_join_next(cx) {}
        let began = Instant::now();
        let mut now = began;
        let slow = self.slow_until.is_some_and(|until| began < until);
        let mut count = 0;
        let polled = loop {
            if count > 0 && count % RUN == 0 {
                now = Instant::now();
                if count >= TURN || now - began > LONG {
                    cx.waker().wake_by_ref();
                    break Poll::Pending;
                }
            }
            if self.waiting.len() >= AT_ONCE {
                break Poll::Pending;
            }
            let delivery = match Pin::new(&mut self.deliveries).poll_next(cx) {
                Poll::Ready(Some(delivery)) => delivery,
                Poll::Ready(None) => break Poll::Ready(()),
                Poll::Pending => break Poll::Pending,
            };
            count += 1;
            if slow {
                self.waiting.spawn(Arc::clone(subscriber).handle(delivery));
            } else if let Some(rest) = subscriber.begin(delivery, now, cx) {
                // What it waits for wakes the task that polled it last.
                self.waiting.spawn(rest);
            }
        };
        if count > 0 && !slow {
            self.measure(began, count as u32);
        }
        polled
    }

    fn measure(&mut self, began: Instant, count: u32) {
        let now = Instant::now();
        self.slow_turns = if now - began > SLOW * count { self.slow_turns + 1 } else { 0 };
        self.slow_until = (self.slow_turns >= SLOW_TURNS).then(|| now + SLOW_FOR);
    }
}
