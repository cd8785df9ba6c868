//! The sending half of a lane: frames go into one buffer, and what has gathered is written at once.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Sending, Unwritten};
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

/// When what was appended is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flush {
    /// By the writer, a little later: together with what others append meanwhile.
    Soon,
    /// Here, if the stream takes it: for a batch, or where no others are. Saves a turn of the writer.
    Now,
}

/// Frames on their way. The stream is here as well, and is never left with half of a batch: a caller that
/// is dropped takes nothing with it, and what the stream does not take at once [`Outbox::write`] sees to.
pub(super) struct Outbox<S> {
    state: Mutex<State<S>>,
    filled: Notify,
    drained: Notify,
}

struct State<S> {
    buffer: BytesMut,
    /// What the stream has not taken yet of the batch that is under way.
    rest: Bytes,
    /// A batch is under way: the writer waits for the stream to take it.
    writes: bool,
    /// Where it goes, once that is open.
    stream: Option<S>,
    closed: bool,
}

impl<S> Default for Outbox<S> {
    fn default() -> Self {
        let (buffer, rest) = (BytesMut::new(), Bytes::new());
        let state = State { buffer, rest, writes: false, stream: None, closed: false };
        Self { state: Mutex::new(state), filled: Notify::new(), drained: Notify::new() }
    }
}

impl<S: Sending> Outbox<S> {
    /// Appends frames, whether there is room or not: for what is bounded otherwise.
    pub(super) fn push<T>(
        &self,
        flush: Flush,
        append: impl FnOnce(&mut BytesMut) -> T,
    ) -> Pushed<T> {
        self.append(usize::MAX, flush, append)
    }

    /// Appends frames if there is room.
    pub(super) fn try_push<T>(
        &self,
        flush: Flush,
        append: impl FnOnce(&mut BytesMut) -> T,
    ) -> Pushed<T> {
        self.append(LIMIT, flush, append)
    }

    fn append<T>(
        &self,
        limit: usize,
        flush: Flush,
        append: impl FnOnce(&mut BytesMut) -> T,
    ) -> Pushed<T> {
        let mut state = lock(&self.state);
        if state.closed {
            return Pushed::Closed;
        }
        if state.buffer.len() >= limit {
            return Pushed::Full;
        }
        let was_empty = state.buffer.is_empty();
        let appended = append(&mut state.buffer);
        let wake = match flush {
            Flush::Now if !state.writes => !self.flush(&mut state),
            _ => was_empty,
        };
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Pushed::Yes(appended)
    }

    /// Hands all to the stream; `false` when the writer must go on.
    fn flush(&self, state: &mut State<S>) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        while !state.buffer.is_empty() {
            if !matches!(self.poll_batch(state, &mut nobody), Poll::Ready(Ok(()))) {
                return false;
            }
        }
        true
    }

    /// Writes one batch to its end: the one that is under way, or what has gathered.
    fn poll_batch(
        &self,
        state: &mut State<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unwritten>> {
        let Some(stream) = &mut state.stream else { return Poll::Pending };
        if !state.writes {
            state.writes = true;
            state.rest = state.buffer.split().freeze();
            if state.rest.len() > KEEP {
                state.buffer = BytesMut::new();
            }
            if state.rest.len() >= LIMIT {
                self.drained.notify_waiters();
            }
        }
        // One that failed stays under way, so that the writer hears of it too.
        ready!(stream.poll_write(cx, std::slice::from_mut(&mut state.rest)))?;
        state.rest = Bytes::new();
        state.writes = false;
        Poll::Ready(Ok(()))
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

    /// Writes to this stream until the lane is closed.
    pub(super) async fn write(&self, stream: S) -> Result<(), Unread> {
        lock(&self.state).stream = Some(stream);
        loop {
            // A batch a time: a peer that reads is not late because there is always more.
            match within(STALL, poll_fn(|cx| self.poll_write(cx))).await {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => {}
                Ok(Err(_)) | Err(_) => {
                    self.close();
                    let stream = lock(&self.state).stream.take();
                    drop(stream);
                    return Err(Unread);
                }
            }
            if self.finish() {
                return Ok(());
            }
            self.filled.notified().await;
        }
    }

    /// Writes a batch, if there is one.
    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<Result<bool, Unwritten>> {
        let state = &mut *lock(&self.state);
        if !state.writes && state.buffer.is_empty() {
            return Poll::Ready(Ok(false));
        }
        self.poll_batch(state, cx).map_ok(|()| true)
    }

    /// Ends the stream of a lane that is closed, if all is written.
    fn finish(&self) -> bool {
        let mut state = lock(&self.state);
        let is_done = state.closed && state.buffer.is_empty() && !state.writes;
        if is_done && let Some(mut stream) = state.stream.take() {
            drop(state);
            // The peer reads to the end of the lane before it reads the end of the stream.
            stream.finish();
        }
        is_done
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
