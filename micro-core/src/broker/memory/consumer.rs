//! One member of a group, as a stream of deliveries.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use super::Shared;
use super::state::Polled;
use crate::broker::Delivery;

/// Leaves the group when it is dropped.
pub(super) struct Consumer {
    shared: Arc<Shared>,
    queue: u64,
    member: u64,
    owned: bool,
}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>, queue: u64, member: u64, owned: bool) -> Self {
        Self { shared, queue, member, owned }
    }
}

impl Stream for Consumer {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Delivery>> {
        let (queue, member) = (self.queue, self.member);
        let polled = self
            .shared
            .update(|state, now, effects| state.poll(queue, member, now, cx.waker(), effects));
        let handout = match polled {
            Polled::Closed => return Poll::Ready(None),
            Polled::Nothing => return Poll::Pending,
            Polled::Some(handout) => handout,
        };
        let (shared, seq, attempt) = (self.shared.clone(), handout.seq, handout.attempt);
        let delivery = Delivery::new(handout.message, attempt, move |verdict| {
            shared.update(|state, now, effects| {
                state.settle(queue, seq, attempt, verdict, now, effects);
            });
        });
        Poll::Ready(Some(delivery))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let Self { shared, queue, member, owned } = self;
        shared.update(|state, now, effects| state.leave(*queue, *member, *owned, now, effects));
    }
}
