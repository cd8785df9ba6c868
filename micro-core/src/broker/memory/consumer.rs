//! One member of a group: a stream of deliveries for the application, batches for a link.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use super::Shared;
use super::queue::{Handout, Most};
use crate::broker::{Delivery, Settle, Verdict};

/// Leaves the group when it is dropped.
pub(in crate::broker) struct Consumer {
    group: Arc<Group>,
    member: u64,
    owned: bool,
}

/// The queue, as its deliveries know it.
pub(in crate::broker) struct Group {
    shared: Arc<Shared>,
    queue: u64,
}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>, queue: u64, member: u64, owned: bool) -> Self {
        Self { group: Arc::new(Group { shared, queue }), member, owned }
    }

    /// The group, which may be told what became of messages when the member has left.
    pub(in crate::broker) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Takes what is there, up to the limits and the window; false when the broker was closed.
    pub(in crate::broker) fn poll_take(
        &self,
        cx: &TaskContext<'_>,
        most: Most,
        taken: &mut Vec<Handout>,
    ) -> Poll<bool> {
        let (before, ids) = (taken.len(), (self.group.queue, self.member));
        let open = self
            .group
            .shared
            .update(|state, now, effects| state.poll(ids, now, cx.waker(), (most, taken), effects));
        if open && taken.len() == before {
            return Poll::Pending;
        }
        Poll::Ready(open)
    }
}

impl Group {
    /// Whether both are the same queue.
    pub(in crate::broker) fn is(&self, other: &Self) -> bool {
        self.queue == other.queue
    }

    /// Says that the messages with these numbers were handled.
    pub(in crate::broker) fn acknowledge(&self, numbers: impl IntoIterator<Item = u64>) {
        let queue = self.queue;
        self.shared.update(|state, now, effects| state.acknowledge(queue, numbers, now, effects));
    }

    /// Says what became of deliveries: of each its number, attempt and fate.
    pub(in crate::broker) fn settle_all(
        &self,
        verdicts: impl IntoIterator<Item = (u64, u32, Verdict)>,
    ) {
        self.shared.update(|state, now, effects| state.settle(self.queue, verdicts, now, effects));
    }
}

impl Settle for Group {
    fn settle(&self, number: u64, attempt: u32, verdict: Verdict) {
        match verdict {
            Verdict::Ack => self.acknowledge([number]),
            verdict => self.settle_all([(number, attempt, verdict)]),
        }
    }
}

impl Stream for Consumer {
    type Item = Delivery;

    /// One at a time: what a slow subscriber did not begin is for others.
    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Delivery>> {
        let mut taken = Vec::with_capacity(1);
        let most = Most { messages: 1, bytes: usize::MAX };
        if self.poll_take(cx, most, &mut taken).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(taken.pop().map(|Handout { seq, message, attempt }| {
            Delivery::numbered(message.message.clone(), attempt, self.group.clone(), seq)
        }))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let Self { group, member, owned } = self;
        group.shared.update(|state, now, effects| {
            state.leave(group.queue, *member, *owned, now, effects);
        });
    }
}
