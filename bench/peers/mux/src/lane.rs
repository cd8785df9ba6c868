//! The two directions of a lane, over a QUIC stream or any byte stream.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;

use crate::frame::Frames;

/// Capacity that the outbound buffer begins with.
const BUFFER: usize = 64 << 10;

/// Where frames go.
pub trait Out: Send + Unpin + 'static {
    /// Takes what is in the buffer; ready when it is empty.
    fn poll_out(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<()>>;
}

/// Where frames come from.
pub trait In: Send + 'static {
    /// Reads what there is, at least something; false at the end.
    fn read(&mut self, frames: &mut Frames) -> impl Future<Output = io::Result<bool>> + Send;
}

/// The sending half of a QUIC stream.
pub struct QuicOut {
    stream: quinn::SendStream,
    /// What quinn has not yet taken of the last chunk.
    rest: Vec<Bytes>,
}

impl QuicOut {
    /// Sends over this stream.
    pub fn new(stream: quinn::SendStream) -> Self {
        Self { stream, rest: Vec::new() }
    }
}

impl Out for QuicOut {
    fn poll_out(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<()>> {
        loop {
            if self.rest.is_empty() {
                if buffer.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                // As one chunk, which quinn keeps without a copy.
                self.rest.push(buffer.split().freeze());
            }
            // It cuts what it has taken off the chunks, so that it can be dropped and made again.
            ready!(pin!(self.stream.write_all_chunks(&mut self.rest)).poll(cx))?;
            self.rest.clear();
        }
    }
}

/// The receiving half of a QUIC stream.
pub struct QuicIn {
    stream: quinn::RecvStream,
    chunks: Vec<Bytes>,
}

impl QuicIn {
    /// Receives from this stream.
    pub fn new(stream: quinn::RecvStream) -> Self {
        Self { stream, chunks: vec![Bytes::new(); 64] }
    }
}

impl In for QuicIn {
    async fn read(&mut self, frames: &mut Frames) -> io::Result<bool> {
        let Some(count) = self.stream.read_chunks(&mut self.chunks).await? else {
            return Ok(false);
        };
        self.chunks[..count].iter_mut().for_each(|chunk| frames.push(std::mem::take(chunk)));
        Ok(true)
    }
}

/// The sending half of a byte stream.
pub struct StreamOut<W>(pub W);

impl<W: AsyncWrite + Send + Unpin + 'static> Out for StreamOut<W> {
    fn poll_out(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<()>> {
        while !buffer.is_empty() {
            let written = ready!(Pin::new(&mut self.0).poll_write(cx, buffer))?;
            buffer.advance(written);
        }
        Pin::new(&mut self.0).poll_flush(cx)
    }
}

/// The receiving half of a byte stream.
pub struct StreamIn<R> {
    stream: R,
    buffer: BytesMut,
}

impl<R> StreamIn<R> {
    /// Receives from this stream.
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }
}

impl<R: AsyncRead + Send + Unpin + 'static> In for StreamIn<R> {
    async fn read(&mut self, frames: &mut Frames) -> io::Result<bool> {
        self.buffer.reserve(BUFFER);
        let count = self.stream.read_buf(&mut self.buffer).await?;
        frames.push(self.buffer.split().freeze());
        Ok(count > 0)
    }
}

/// What the callers and handlers of one lane write into. Frames of one turn of the scheduler go out as one
/// write.
pub struct Sender<O> {
    state: Mutex<State<O>>,
    wake: Notify,
}

struct State<O> {
    out: O,
    buffer: BytesMut,
    /// The writer waits for the transport, and will come back by itself.
    stalled: bool,
    /// The writer has been told.
    told: bool,
}

impl<O: Out> Sender<O> {
    /// Starts the writer of this lane.
    pub fn start(out: O) -> Arc<Self> {
        let buffer = BytesMut::with_capacity(BUFFER);
        let state = Mutex::new(State { out, buffer, stalled: false, told: false });
        let sender = Arc::new(Self { state, wake: Notify::new() });
        tokio::spawn(Arc::clone(&sender).write());
        sender
    }

    async fn write(self: Arc<Self>) {
        loop {
            self.wake.notified().await;
            let written = std::future::poll_fn(|cx| {
                let state = &mut *self.state.lock();
                state.told = false;
                let poll = state.out.poll_out(cx, &mut state.buffer);
                state.stalled = poll.is_pending();
                poll
            });
            if written.await.is_err() {
                return;
            }
        }
    }

    /// Appends frames and lets the writer send them, together with those that others append meanwhile.
    pub fn later(&self, append: impl FnOnce(&mut BytesMut)) {
        let mut state = self.state.lock();
        append(&mut state.buffer);
        if !state.stalled && !state.told {
            state.told = true;
            self.wake.notify_one();
        }
    }

    /// Appends frames and sends them at once: for who already has a batch.
    pub fn now(&self, append: impl FnOnce(&mut BytesMut)) {
        let state = &mut *self.state.lock();
        append(&mut state.buffer);
        if state.stalled {
            return;
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if state.out.poll_out(&mut cx, &mut state.buffer).is_pending() {
            state.stalled = true;
            self.wake.notify_one();
        }
    }
}
