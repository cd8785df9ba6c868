//! The embedded broker between processes, with no server: each process keeps what it publishes in a
//! [`MemoryBroker`], and gives it to the subscribers that it finds in the registry, one call a message.
//!
//! A message ends with the process that published it; what must outlive that belongs on another broker.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::memory::{Limits, MemoryBroker};
use super::{Broker, BrokerError, Capabilities, Delivery, Message, Subscribe, Subscription};
use crate::call::BoxFuture;
use crate::registry::{Instance, InstanceId, Listening, Registry, Update};
use crate::status::Status;
use crate::sync::lock;
use crate::tasks;

mod bridge;
mod envelope;
mod inbox;

pub use envelope::{Envelope, MAX_ENVELOPE};

use bridge::Bridge;
use inbox::{Inbox, Reader};

/// Subscriptions of one instance that are served; more are ignored, since a record may be hostile.
const MAX_PER_INSTANCE: usize = 1_000;
/// Subscriptions of all other instances that are served; it also bounds what one publish goes to.
const MAX_BRIDGES: usize = 10_000;
/// How long a publish waits to hear from the registry who listens.
const READY_WAIT: Duration = Duration::from_secs(2);

/// How long a [`Courier`] should wait for an answer: as long as the default [`Limits`] leave a subscriber,
/// plus the time that it takes to find one.
pub const DELIVERY_WAIT: Duration = Duration::from_secs(30 + inbox::ACCEPT_WAIT.as_secs());

/// What carries a message to another process and brings back what became of it, within
/// [`DELIVERY_WAIT`].
pub trait Courier: Send + Sync + 'static {
    /// Delivers to one instance; returns when it has handled the message.
    ///
    /// # Errors
    /// `Unavailable` or `NotFound` when the instance cannot be given messages: the message goes to
    /// another one at once. Anything else is the failure of this message, which comes again later.
    fn deliver<'a>(
        &'a self,
        to: &'a Instance,
        envelope: Envelope,
    ) -> BoxFuture<'a, Result<(), Status>>;
}

/// Decides whether an instance may have what it says it listens to.
pub type Permit = Arc<dyn Fn(&Instance, &Subscribe) -> bool + Send + Sync>;

/// How a [`DirectBroker`] behaves.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Limits of what waits in this process.
    pub limits: Limits,
    /// Who may listen to what; everybody in the trust domain to everything, unless given.
    pub permit: Permit,
}

/// A broker for the subscribers of all processes that a registry knows.
#[derive(Clone)]
pub struct DirectBroker {
    inner: Arc<Inner>,
}

struct Inner {
    me: Vec<InstanceId>,
    memory: MemoryBroker,
    courier: Arc<dyn Courier>,
    permit: Permit,
    inbox: Arc<Inbox>,
    /// What other instances listen to.
    bridges: Mutex<HashMap<InstanceId, HashMap<Subscribe, Bridge>>>,
    /// Whether the registry has said who listens.
    ready: watch::Sender<bool>,
    follower: Mutex<Option<tasks::Owned>>,
}

impl DirectBroker {
    /// A broker with the default options; as [`DirectBroker::with_options`].
    ///
    /// # Errors
    /// When the registry cannot be watched as a whole.
    pub fn new(
        me: Vec<InstanceId>,
        registry: Arc<dyn Registry>,
        courier: Arc<dyn Courier>,
    ) -> Result<Self, BrokerError> {
        Self::with_options(me, registry, courier, Options::default())
    }

    /// Begins to follow the registry, within a tokio runtime. `me` are the instances that this process
    /// registers, one of them with what [`DirectBroker::own_subscriptions`] says.
    ///
    /// # Errors
    /// When the registry cannot be watched as a whole.
    pub fn with_options(
        me: Vec<InstanceId>,
        registry: Arc<dyn Registry>,
        courier: Arc<dyn Courier>,
        options: Options,
    ) -> Result<Self, BrokerError> {
        if !registry.capabilities().lists {
            return Err(BrokerError::Invalid(format!(
                "this registry cannot say who listens, which the embedded broker needs: {registry:?}"
            )));
        }
        let Options { limits, permit } = options;
        let inner = Arc::new(Inner {
            me,
            inbox: Arc::new(Inbox::new(limits.remembered)),
            memory: MemoryBroker::with_limits(limits),
            courier,
            permit,
            bridges: Mutex::default(),
            ready: watch::Sender::new(false),
            follower: Mutex::default(),
        });
        let follower = tasks::Owned::spawn(follow(Arc::downgrade(&inner), registry));
        *lock(&inner.follower) = Some(follower);
        Ok(Self { inner })
    }

    /// What this process listens to, for its record in the registry: now and whenever it changes.
    pub fn own_subscriptions(&self) -> watch::Receiver<Vec<Listening>> {
        self.inner.inbox.listening()
    }

    /// Takes a message that another process has published; returns when it was handled here.
    ///
    /// A message that was handled already is not handled again, and one that is being handled is waited
    /// for. Dropping the future does not stop the handler.
    ///
    /// # Errors
    /// `Aborted` with the handler's reason; `NotFound` when nobody here listens so; `Unavailable` when
    /// the subscriber, or this process, goes away; `ResourceExhausted` when they are all busy. What was
    /// not begun says so.
    pub fn receive(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), Status>> {
        Box::pin(self.inner.inbox.receive(envelope))
    }

    /// The queues of what this process has published, to see what they have counted.
    pub fn queues(&self) -> &MemoryBroker {
        &self.inner.memory
    }
}

impl Broker for DirectBroker {
    fn capabilities(&self) -> Capabilities {
        self.inner.memory.capabilities()
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            self.inner.ready().await?;
            self.inner.memory.publish(message).await
        })
    }

    fn subscribe(&self, wanted: Subscribe) -> BoxFuture<'_, Result<Subscription, BrokerError>> {
        Box::pin(async move {
            let local = self.inner.memory.subscribe(wanted.clone()).await?;
            let remote = self.inner.inbox.open(&wanted);
            Ok(Subscription::new(Both { local, remote, remote_first: false }))
        })
    }

    fn close(&self, deadline: Instant) -> BoxFuture<'_, usize> {
        Box::pin(async move {
            self.inner.inbox.close();
            let left = self.inner.memory.close(deadline).await;
            self.inner.stop();
            left
        })
    }
}

/// What this process and what others have published, in turn.
struct Both {
    local: Subscription,
    remote: Reader,
    remote_first: bool,
}

impl Stream for Both {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Delivery>> {
        self.remote_first = !self.remote_first;
        if self.remote_first
            && let Poll::Ready(delivery) = self.remote.poll_take(cx)
        {
            return Poll::Ready(Some(delivery));
        }
        if let Poll::Ready(delivery) = Pin::new(&mut self.local).poll_next(cx) {
            return Poll::Ready(delivery);
        }
        if self.remote_first {
            return Poll::Pending;
        }
        self.remote.poll_take(cx).map(Some)
    }
}

impl Inner {
    /// Waits for the registry to say who listens: a message that is published right after the start
    /// must not miss those who are there.
    async fn ready(&self) -> Result<(), BrokerError> {
        if *self.ready.borrow() {
            return Ok(());
        }
        let mut ready = self.ready.subscribe();
        match timeout(READY_WAIT, ready.wait_for(|ready| *ready)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(BrokerError::NotReady),
        }
    }

    fn apply(&self, update: Update) {
        let mut bridges = lock(&self.bridges);
        match update {
            Update::Reset(instances) => {
                bridges.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
                for instance in instances {
                    self.connect(&mut bridges, instance);
                }
                drop(bridges);
                self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
            }
            Update::Add(instance) => self.connect(&mut bridges, instance),
            Update::Remove(id) => drop(bridges.remove(&id)),
        }
    }

    /// Makes an instance a member of the groups that it listens as, and of no others.
    fn connect(
        &self,
        bridges: &mut HashMap<InstanceId, HashMap<Subscribe, Bridge>>,
        instance: Instance,
    ) {
        if self.me.contains(&instance.id) {
            return;
        }
        let mut open = bridges.values().map(HashMap::len).sum::<usize>();
        let instance = Arc::new(instance);
        let wanted: Vec<Subscribe> = instance
            .subscriptions
            .iter()
            .take(MAX_PER_INSTANCE)
            .map(Subscribe::from)
            .filter(|wanted| (self.permit)(&instance, wanted))
            .collect();
        let known = bridges.entry(instance.id.clone()).or_default();
        open -= known.len();
        known.retain(|to, _| wanted.contains(to));
        open += known.len();
        for to in wanted {
            if let Some(bridge) = known.get(&to) {
                bridge.moved(instance.clone());
                continue;
            }
            if open >= MAX_BRIDGES {
                tracing::warn!(limit = MAX_BRIDGES, "too many subscriptions in the registry");
                break;
            }
            let (courier, instance) = (self.courier.clone(), instance.clone());
            match Bridge::open(&self.memory, courier, to.clone(), instance) {
                Ok(bridge) => drop(known.insert(to, bridge)),
                Err(error) => tracing::warn!(%error, group = to.group, "cannot serve a subscriber"),
            }
            open += 1;
        }
    }

    fn stop(&self) {
        drop(lock(&self.follower).take());
        lock(&self.bridges).clear();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Follows the registry for as long as the broker is there.
async fn follow(inner: Weak<Inner>, registry: Arc<dyn Registry>) {
    let mut failures = 0;
    while inner.strong_count() > 0 {
        match registry.watch(None).await {
            Ok(mut updates) => {
                while let Some(update) = updates.next().await {
                    failures = 0;
                    let Some(inner) = inner.upgrade() else { return };
                    inner.apply(update);
                }
            }
            Err(error) => tracing::warn!(%error, "the registry cannot say who listens"),
        }
        failures += 1;
        sleep(backoff(failures)).await;
    }
}

/// How long to wait after this many failures: 100 ms, doubled each time up to 10 s, with jitter.
fn backoff(failures: u32) -> Duration {
    let wait = Duration::from_millis(100 << failures.saturating_sub(1).min(6));
    wait + wait / 2 * (crate::id::noise() % 1024) as u32 / 1024
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), permit: Arc::new(|_, _| true) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, permit: _ } = self;
        f.debug_struct("Options").field("limits", limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for DirectBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectBroker")
            .field("me", &self.inner.me)
            .field("queues", &self.inner.memory)
            .field("inbox", &self.inner.inbox)
            .finish_non_exhaustive()
    }
}

impl From<&Listening> for Subscribe {
    fn from(listening: &Listening) -> Self {
        let Listening { pattern, group, broadcast } = listening.clone();
        Self { pattern, group, broadcast }
    }
}

impl From<Subscribe> for Listening {
    fn from(wanted: Subscribe) -> Self {
        let Subscribe { pattern, group, broadcast } = wanted;
        Self { pattern, group, broadcast }
    }
}

#[cfg(test)]
mod tests;
