//! The way from a group of this process to one member of it in another process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::envelope::Envelope;
use super::inbox::ACCEPT_WAIT;
use super::{Courier, backoff};
use crate::broker::memory::MemoryBroker;
use crate::broker::{BrokerError, Delivery, Subscribe, Subscription};
use crate::registry::Instance;
use crate::status::{Code, Executed, Status};
use crate::tasks;

/// How long an instance that left the registry may take to answer for what it has: it drains, or is
/// gone, and then its connection ends sooner.
const GRACE: Duration = Duration::from_secs(5);

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Bridge {
    /// Where the member is; it may move.
    instance: watch::Sender<Arc<Instance>>,
}

struct Link {
    courier: Arc<dyn Courier>,
    to: Subscribe,
    instance: watch::Receiver<Arc<Instance>>,
    /// The member could not be reached: it gets nothing for a while.
    failed: Notify,
    /// How often that was, since it last answered.
    failures: AtomicU32,
}

impl Bridge {
    /// Makes the instance a member of the group at once.
    pub(super) fn open(
        memory: &MemoryBroker,
        courier: Arc<dyn Courier>,
        to: Subscribe,
        instance: Arc<Instance>,
    ) -> Result<Self, BrokerError> {
        let subscription = join(memory, &to)?;
        let (sender, instance) = watch::channel(instance);
        let (failed, failures) = (Notify::new(), AtomicU32::new(0));
        let link = Arc::new(Link { courier, to, instance, failed, failures });
        tasks::spawn(run(memory.clone(), link, subscription));
        Ok(Self { instance: sender })
    }

    /// The instance is reached elsewhere now, perhaps.
    pub(super) fn moved(&self, instance: Arc<Instance>) {
        self.instance.send_replace(instance);
    }
}

/// The other side is given time to find a subscriber before the message counts as failed here.
fn join(memory: &MemoryBroker, to: &Subscribe) -> Result<Subscription, BrokerError> {
    memory.join(to, memory.limits().ack_wait + ACCEPT_WAIT, false)
}

async fn run(memory: MemoryBroker, link: Arc<Link>, first: Subscription) {
    let mut subscription = Some(first);
    loop {
        let next = async {
            match &mut subscription {
                Some(subscription) => subscription.next().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            () = link.gone() => return,
            () = link.failed.notified() => {}
            delivery = next => match delivery {
                // At most a window of them, since the group gives no more without an answer.
                Some(delivery) => {
                    tasks::spawn(forward(link.clone(), delivery));
                    continue;
                }
                None => return,
            },
        }
        // Others get what this member cannot be given. A broadcast has no others.
        if !link.to.broadcast {
            subscription = None;
        }
        let failures = link.failures.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::select! {
            () = link.gone() => return,
            () = sleep(backoff(failures)) => {}
        }
        if subscription.is_none() {
            // Closed, or there are too many: the registry's next word begins anew.
            let Ok(joined) = join(&memory, &link.to) else {
                return;
            };
            subscription = Some(joined);
        }
    }
}

async fn forward(link: Arc<Link>, delivery: Delivery) {
    let (message, attempt) = (delivery.message.clone(), delivery.attempt);
    let envelope = Envelope { to: link.to.clone(), message, attempt };
    let instance = link.instance.borrow().clone();
    let answer = tokio::select! {
        answer = link.courier.deliver(&instance, envelope) => answer,
        () = link.gone_for_long() => return delivery.lost(),
    };
    let status = match answer {
        Ok(()) => {
            link.failures.store(0, Ordering::Relaxed);
            return delivery.ack();
        }
        Err(status) => status,
    };
    if !did_not_reach(&status) {
        return delivery.nack(status.message());
    }
    let (group, service) = (&link.to.group, &instance.service);
    tracing::debug!(group, service, %status, "an instance cannot be given messages");
    link.failed.notify_one();
    if status.executed() == Executed::No {
        delivery.release();
    } else {
        delivery.lost();
    }
}

/// Whether an instance cannot be given messages, as opposed to one that could not handle this one.
fn did_not_reach(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::Unavailable) || status.is_retryable()
}

impl Link {
    /// Returns when the instance has left the registry.
    async fn gone(&self) {
        let mut instance = self.instance.clone();
        while instance.changed().await.is_ok() {}
    }

    /// Returns when it has left a while ago.
    async fn gone_for_long(&self) {
        self.gone().await;
        sleep(GRACE).await;
    }
}
