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
    /// By who appends, with [`Outbox::flush`], as soon as it holds no lock: for a batch, or where no others
    /// are. Saves a turn of the writer.
    Own,
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
    /// Where it goes, once that is open; taken out by who writes, so that nobody else waits meanwhile.
    stream: Option<Writing<S>>,
    /// Bytes of the batch before, and room for the next: to grow a buffer is to copy it.
    usual: usize,
    closed: bool,
}

/// The stream, and what it has not taken yet of the batch that is under way.
struct Writing<S> {
    stream: S,
    rest: Option<Bytes>,
}

impl<S: Sending> Writing<S> {
    /// Writes the batch to its end. One that failed stays, so that who polls next hears of it too.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwritten>> {
        if let Some(rest) = &mut self.rest {
            ready!(self.stream.poll_write(cx, std::slice::from_mut(rest)))?;
            self.rest = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Default for Outbox<S> {
    fn default() -> Self {
        let state = State { buffer: BytesMut::new(), stream: None, usual: 0, closed: false };
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
        // What comes whole, and is not asked for room, brings its own.
        if limit == LIMIT && state.buffer.capacity() == 0 {
            let usual = state.usual;
            state.buffer.reserve(usual);
        }
        let appended = append(&mut state.buffer);
        drop(state);
        if was_empty && flush == Flush::Soon {
            self.filled.notify_one();
        }
        Pushed::Yes(appended)
    }

    /// Hands all to the stream, unless somebody else is doing so; what it does not take now is the
    /// writer's.
    pub(super) fn flush(&self) {
        let mut nobody = Context::from_waker(Waker::noop());
        while let Some(mut writing) = self.take(false) {
            let written = writing.poll(&mut nobody);
            if self.put_back(writing) || !matches!(written, Poll::Ready(Ok(()))) {
                return self.filled.notify_one();
            }
        }
    }

    /// The stream with the next batch, if there is one and the stream is there; with the batch that is
    /// under way only for who goes on with that.
    fn take(&self, goes_on: bool) -> Option<Writing<S>> {
        let mut state = lock(&self.state);
        let State { buffer, stream, usual, .. } = &mut *state;
        let mut writing = stream.take_if(|writing| match writing.rest {
            Some(_) => goes_on,
            None => !buffer.is_empty(),
        })?;
        if writing.rest.is_none() {
            let batch = buffer.split().freeze();
            *usual = batch.len().min(4 * KEEP);
            if batch.len() > KEEP {
                *buffer = BytesMut::new();
            }
            if batch.len() >= LIMIT {
                self.drained.notify_waiters();
            }
            writing.rest = Some(batch);
        }
        Some(writing)
    }

    /// Whether the lane is closed.
    fn put_back(&self, writing: Writing<S>) -> bool {
        let mut state = lock(&self.state);
        state.stream = Some(writing);
        state.closed
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
        lock(&self.state).stream = Some(Writing { stream, rest: None });
        loop {
            // A batch a time: a peer that reads is not late because there is always more.
            match within(STALL, poll_fn(|cx| self.poll_write(cx))).await {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => {}
                Ok(Err(_)) | Err(_) => {
                    self.close();
                    drop(lock(&self.state).stream.take());
                    return Err(Unread);
                }
            }
            if self.finish() {
                return Ok(());
            }
            self.filled.notified().await;
        }
    }

    /// Writes a batch, if there is one and nobody else does.
    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<Result<bool, Unwritten>> {
        let Some(mut writing) = self.take(true) else { return Poll::Ready(Ok(false)) };
        let written = writing.poll(cx);
        self.put_back(writing);
        written.map_ok(|()| true)
    }

    /// Ends the stream of a lane that is closed, if all is written.
    fn finish(&self) -> bool {
        let mut state = lock(&self.state);
        if !state.closed || !state.buffer.is_empty() {
            return false;
        }
        let Some(mut writing) = state.stream.take_if(|writing| writing.rest.is_none()) else {
            return false;
        };
        drop(state);
        // The peer reads to the end of the lane before it reads the end of the stream.
        writing.stream.finish();
        true
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
