//! The embedded broker between processes, with no server: each process keeps what it publishes in a
//! [`MemoryBroker`], and gives it to the subscribers that it finds in the registry, by one long stream to
//! each of their processes.
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
use crate::stream::{ItemSink, Items, Outbound};
use crate::sync::lock;
use crate::tasks;

mod answers;
mod book;
mod frame;
mod inbound;
mod inbox;
mod line;
mod link;
mod member;

use inbox::{Inbox, Reader};
use link::Link;

/// Subscriptions of one instance that are served; more are ignored, since a record may be hostile.
const MAX_PER_INSTANCE: usize = 1_000;
/// Subscriptions of all other instances that are served; it also bounds what one publish goes to.
const MAX_BRIDGES: usize = 10_000;
/// How long a publish waits to hear from the registry who listens.
const READY_WAIT: Duration = Duration::from_secs(2);

/// What carries messages to another process and brings back what became of them.
pub trait Courier: Send + Sync + 'static {
    /// Opens a stream to one instance, whose process gives it to [`DirectBroker::serve`]: items go out
    /// as they come, and those that come back are yielded. It lives for an hour if nobody ends it.
    ///
    /// # Errors
    /// When the instance cannot be reached: then nothing of `outbound` was sent.
    fn open<'a>(
        &'a self,
        to: &'a Instance,
        outbound: Outbound,
    ) -> BoxFuture<'a, Result<Items, Status>>;
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
    /// The way to each instance that listens.
    links: Mutex<HashMap<InstanceId, Link>>,
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
            links: Mutex::default(),
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

    /// Takes what another process publishes over a stream that its [`Courier`] has opened, and answers
    /// what became of it; returns when that process has ended its half and was answered everything.
    ///
    /// A message that was handled already is not handled again, and one that is being handled is waited
    /// for. Dropping the future does not stop the handlers.
    ///
    /// # Errors
    /// When the other side breaks the protocol, or is gone.
    pub fn serve(&self, items: Items, answers: ItemSink) -> BoxFuture<'static, Result<(), Status>> {
        Box::pin(inbound::serve(self.inner.inbox.clone(), items, answers))
    }

    /// Takes nothing more from other processes and tells them; what was taken is handled and answered.
    pub fn stop_receiving(&self) {
        self.inner.inbox.close();
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
            Ok(Subscription::new(Both { local, remote, turn: 0 }))
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
    turn: u32,
}

/// Messages from others for each look at what this process has published: looking at both each time
/// would double the cost of each.
const REMOTE_TURNS: u32 = 64;

impl Stream for Both {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Delivery>> {
        self.turn = (self.turn + 1) % REMOTE_TURNS;
        let local_first = self.turn == 0;
        if !local_first && let Poll::Ready(delivery) = self.remote.poll_take(cx) {
            return Poll::Ready(Some(delivery));
        }
        if let Poll::Ready(delivery) = Pin::new(&mut self.local).poll_next(cx) {
            return Poll::Ready(delivery);
        }
        if !local_first {
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
        let mut links = lock(&self.links);
        match update {
            Update::Reset(instances) => {
                links.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
                for instance in instances {
                    self.connect(&mut links, instance);
                }
                drop(links);
                self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
            }
            Update::Add(instance) => self.connect(&mut links, instance),
            Update::Remove(id) => drop(links.remove(&id)),
        }
    }

    /// Makes an instance a member of the groups that it listens as, and of no others.
    fn connect(&self, links: &mut HashMap<InstanceId, Link>, instance: Instance) {
        if self.me.contains(&instance.id) {
            return;
        }
        let mut wanted: Vec<Subscribe> = instance
            .subscriptions
            .iter()
            .take(MAX_PER_INSTANCE)
            .map(Subscribe::from)
            .filter(|wanted| (self.permit)(&instance, wanted))
            .collect();
        wanted.dedup();
        if wanted.is_empty() {
            return drop(links.remove(&instance.id));
        }
        let known = links.get(&instance.id).map_or(0, Link::len);
        let room = MAX_BRIDGES + known - self.open(links).min(MAX_BRIDGES);
        let instance = Arc::new(instance);
        let link = links.entry(instance.id.clone()).or_insert_with(|| {
            Link::new(self.memory.clone(), self.courier.clone(), instance.clone())
        });
        link.update(instance, &wanted, room);
    }

    /// Subscriptions of all other instances that are served.
    fn open(&self, links: &HashMap<InstanceId, Link>) -> usize {
        links.values().map(Link::len).sum()
    }

    fn stop(&self) {
        drop(lock(&self.follower).take());
        lock(&self.links).clear();
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
