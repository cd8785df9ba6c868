//! A unary call under way: a place among the calls of a connection, or a future of its own.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::timeout_at;

use super::Request;
use crate::call::{BoxFuture, Outcome};

/// The calls of a connection that wait for their replies, each in a slot. Small calls so need no future,
/// no channel and no timer each: what they wait for is one entry in a table.
pub trait Slots: Send + Sync + 'static {
    /// The outcome of a call, once; wakes the caller when it is there. At its deadline the outcome is
    /// `DeadlineExceeded`.
    fn poll_outcome(&self, id: u64, cx: &mut Context<'_>) -> Poll<Outcome>;

    /// Nobody waits for the outcome any more.
    fn cancel(&self, id: u64);
}

/// A unary call under way, see [`Connection::call`](super::Connection::call).
#[must_use = "dropping a call cancels it"]
pub struct Calling(State);

enum State {
    Slot { slots: Arc<dyn Slots>, id: u64 },
    Future(BoxFuture<'static, Outcome>),
    Ended,
}

impl Calling {
    /// A call that has a slot.
    pub fn slot(slots: Arc<dyn Slots>, id: u64) -> Self {
        Self(State::Slot { slots, id })
    }

    /// Whether it waits in a slot for its end, and nothing else: see [`Connection::call_for`](super::Connection::call_for).
    pub fn is_waiting(&self) -> bool {
        matches!(self.0, State::Slot { .. })
    }

    /// A call that needs more than a slot; ends at the deadline of `request`.
    pub fn future(request: &Request, call: impl Future<Output = Outcome> + Send + 'static) -> Self {
        let (deadline, late) = (request.deadline, request.late());
        Self(State::Future(Box::pin(async move {
            timeout_at(deadline, call).await.unwrap_or(Err(late))
        })))
    }

    /// A call that has ended already.
    pub fn ended(outcome: Outcome) -> Self {
        Self(State::Future(Box::pin(ready(outcome))))
    }
}

impl Future for Calling {
    type Output = Outcome;

    /// # Panics
    /// When it is polled after its end.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let poll = match &mut self.0 {
            State::Slot { slots, id } => slots.poll_outcome(*id, cx),
            State::Future(call) => call.as_mut().poll(cx),
            State::Ended => panic!("polled after its end"),
        };
        if poll.is_ready() {
            self.0 = State::Ended;
        }
        poll
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        if let State::Slot { slots, id } = &self.0 {
            slots.cancel(*id);
        }
    }
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Slot { .. } => "slot",
            State::Future(_) => "future",
            State::Ended => "ended",
        };
        f.debug_tuple("Calling").field(&state).finish()
    }
}
