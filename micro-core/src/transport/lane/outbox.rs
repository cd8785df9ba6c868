//! The sending half of a lane: frames go into one buffer, one task writes what has gathered.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::Sending;
use crate::sync::lock;

/// Bytes that may wait; who has more to send waits for room.
const LIMIT: usize = 1 << 20;
/// A buffer that a burst has grown beyond this is given back.
const KEEP: usize = 64 << 10;
/// A peer that reads nothing for this long, while there is something to read, is not served any more.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// The peer reads nothing, or said that it wants no more.
#[derive(Debug)]
pub(super) struct Unread;

/// Whether frames were appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pushed<T = ()> {
    Yes(T),
    /// There is no room now.
    Full,
    /// The lane is closed.
    Closed,
}

/// Frames on their way. Callers append; [`Outbox::write`] owns the stream, so that a caller that is
/// dropped never leaves half a frame.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    buffer: BytesMut,
    closed: bool,
}

impl Outbox {
    /// Appends frames, whether there is room or not: for what is bounded otherwise.
    pub(super) fn push<T>(&self, append: impl FnOnce(&mut BytesMut) -> T) -> Pushed<T> {
        self.append(usize::MAX, append)
    }

    /// Appends frames if there is room.
    pub(super) fn try_push<T>(&self, append: impl FnOnce(&mut BytesMut) -> T) -> Pushed<T> {
        self.append(LIMIT, append)
    }

    fn append<T>(&self, limit: usize, append: impl FnOnce(&mut BytesMut) -> T) -> Pushed<T> {
        let mut state = lock(&self.state);
        if state.closed {
            return Pushed::Closed;
        }
        if state.buffer.len() >= limit {
            return Pushed::Full;
        }
        let was_empty = state.buffer.is_empty();
        let appended = append(&mut state.buffer);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        Pushed::Yes(appended)
    }

    /// Returns when there is room, or the lane is closed.
    pub(super) async fn room(&self) {
        while !self.has_room() {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before the second look, so that no wake-up is missed between the two.
            drained.as_mut().enable();
            if self.has_room() {
                return;
            }
            drained.await;
        }
    }

    /// Bytes that wait.
    pub(super) fn queued(&self) -> usize {
        lock(&self.state).buffer.len()
    }

    fn has_room(&self) -> bool {
        let state = lock(&self.state);
        state.closed || state.buffer.len() < LIMIT
    }

    /// Takes no more frames. What has gathered is still written, then the stream ends.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Writes until the lane is closed.
    pub(super) async fn write(&self, mut stream: impl Sending) -> Result<(), Unread> {
        loop {
            let (batch, closed) = self.take();
            if batch.is_empty() {
                if closed {
                    // The peer reads to the end of the lane before it reads the end of the stream.
                    stream.finish();
                    return Ok(());
                }
                self.filled.notified().await;
                continue;
            }
            if !matches!(within(STALL, stream.write(&mut [batch])).await, Ok(Ok(()))) {
                self.close();
                return Err(Unread);
            }
        }
    }

    fn take(&self) -> (Bytes, bool) {
        let mut state = lock(&self.state);
        let batch = state.buffer.split().freeze();
        if batch.len() > KEEP {
            state.buffer = BytesMut::new();
        }
        let (was_full, closed) = (batch.len() >= LIMIT, state.closed);
        drop(state);
        if was_full {
            self.drained.notify_waiters();
        }
        (batch, closed)
    }
}

/// As [`timeout`], but without a timer for what is ready at once.
async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let at_once = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    match at_once {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => timeout(limit, future).await,
    }
}
