//! What one publisher hears of the messages that it has sent here: gathered as handlers end, and sent as
//! few items.

use std::sync::Mutex;
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;

use super::frame;
use crate::broker::Verdict;
use crate::sync::lock;

/// The answers that a stream owes, or has ready.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Subscription, first number, count.
    done: Vec<(u32, u64, u32)>,
    failed: Vec<(u32, u64, Verdict)>,
    /// Messages that came and are not answered.
    owed: usize,
    /// To be said, once.
    closing: bool,
    /// Nothing more will come.
    ended: bool,
    /// Nobody listens any more.
    gone: bool,
    waiting: Option<Waker>,
}

impl Answers {
    /// So many messages have come.
    pub(super) fn owe(&self, count: usize) {
        lock(&self.0).owed += count;
    }

    /// Says what became of one.
    pub(super) fn answer(&self, number: u32, at: u64, verdict: Verdict) {
        self.change(|state| {
            state.owed = state.owed.saturating_sub(1);
            if state.gone {
                return;
            }
            match (verdict, state.done.last_mut()) {
                (Verdict::Ack, Some((same, first, count)))
                    if *same == number && *first + u64::from(*count) == at =>
                {
                    *count += 1;
                }
                (Verdict::Ack, _) => state.done.push((number, at, 1)),
                (verdict, _) => state.failed.push((number, at, verdict)),
            }
        });
    }

    /// This process takes no more.
    pub(super) fn close(&self) {
        self.change(|state| state.closing = true);
    }

    /// The publisher sends no more: all that is owed is the rest.
    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// The stream is gone: nobody hears of what is handled from now on.
    pub(super) fn forget(&self) {
        self.change(|state| {
            state.gone = true;
            (state.done, state.failed) = Default::default();
        });
    }

    /// The next items to send; none when all is said.
    pub(super) fn poll_items(&self, cx: &TaskContext<'_>) -> Poll<Option<Vec<Bytes>>> {
        let mut state = lock(&self.0);
        let mut items = Vec::new();
        if std::mem::take(&mut state.closing) {
            items.push(frame::closing());
        }
        for same in state.done.chunk_by(|a, b| a.0 == b.0) {
            items.push(frame::done(
                same[0].0,
                same.iter().map(|(_, first, count)| (*first, *count)),
            ));
        }
        state.done.clear();
        items.extend(state.failed.drain(..).map(|(n, at, verdict)| frame::failed(n, at, &verdict)));
        if !items.is_empty() {
            return Poll::Ready(Some(items));
        }
        if state.ended && state.owed == 0 {
            return Poll::Ready(None);
        }
        let old = state.waiting.replace(cx.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.0);
        change(&mut state);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}
