//! Deliveries: what a subscriber is handed, and how it says what became of it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use super::Message;
use crate::sync::lock;

/// The deliveries of one subscriber. Dropping it gives back what was not taken out yet; what was taken
/// out goes back when its [`Delivery`] is dropped.
pub struct Subscription(Pin<Box<dyn Stream<Item = Delivery> + Send>>);

impl Subscription {
    /// A subscription that yields what the stream yields, for backends.
    pub fn new(deliveries: impl Stream<Item = Delivery> + Send + 'static) -> Self {
        Self(Box::pin(deliveries))
    }

    /// The next message; `None` when the broker was closed.
    ///
    /// # Cancel safety
    /// No message is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Delivery>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// A message that was handed to a subscriber, who must say what became of it. Dropping it is a
/// [`Delivery::nack`] while the subscription lives, and gives the message back at once afterwards.
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// How often it was handed out, this time included.
    pub attempt: u32,
    /// Who hears what becomes of it, and under which number; none once that was told.
    settle: Option<(Arc<dyn Settle>, u64)>,
}

/// Who hears what became of deliveries: one for all of a subscriber, so that none needs its own.
pub(crate) trait Settle: Send + Sync {
    /// Hears it of the delivery with this number, once.
    fn settle(&self, number: u64, attempt: u32, verdict: Verdict);
}

/// A function that hears of one delivery.
struct Once<F>(Mutex<Option<F>>);

impl<F: FnOnce(Verdict) + Send> Settle for Once<F> {
    fn settle(&self, _: u64, _: u32, verdict: Verdict) {
        let settle = lock(&self.0).take();
        if let Some(settle) = settle {
            settle(verdict);
        }
    }
}

/// What became of a delivery, as a backend hears it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It was handled.
    Ack,
    /// The delivery was dropped: a failure if the subscriber is still there, a loss otherwise.
    Dropped,
    /// The subscriber went away and may have begun: at once to another one; counts as an attempt.
    Lost,
    /// It failed, and why: later again.
    Nack(String),
    /// Nobody began to handle it: at once to another one; does not count as an attempt.
    Released,
}

impl Delivery {
    /// A delivery whose fate `settle` is told, once, for backends.
    pub fn new(
        message: Arc<Message>,
        attempt: u32,
        settle: impl FnOnce(Verdict) + Send + 'static,
    ) -> Self {
        Self::numbered(message, attempt, Arc::new(Once(Mutex::new(Some(settle)))), 0)
    }

    /// One of many deliveries of a subscriber.
    pub(crate) fn numbered(
        message: Arc<Message>,
        attempt: u32,
        settle: Arc<dyn Settle>,
        number: u64,
    ) -> Self {
        Self { message, attempt, settle: Some((settle, number)) }
    }

    /// Says that the message was handled: the group does not get it again.
    pub fn ack(self) {
        self.settle(Verdict::Ack);
    }

    /// Says that handling failed: the message comes again later or, after the last attempt, goes to the
    /// dead letters with this reason.
    pub fn nack(self, reason: impl Into<String>) {
        self.settle(Verdict::Nack(reason.into()));
    }

    /// Gives a message back that nobody began to handle, for another member of the group. It comes
    /// again at once, also to this subscription if there is no other that waits.
    pub fn release(self) {
        self.settle(Verdict::Released);
    }

    fn settle(mut self, verdict: Verdict) {
        self.tell(verdict);
    }

    fn tell(&mut self, verdict: Verdict) {
        if let Some((settle, number)) = self.settle.take() {
            settle.settle(number, self.attempt, verdict);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.tell(Verdict::Dropped);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, attempt, settle: _ } = self;
        f.debug_struct("Delivery").field("message", message).field("attempt", attempt).finish()
    }
}
