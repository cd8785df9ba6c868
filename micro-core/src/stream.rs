//! Streams of items: what a handler reads from, and what it writes to.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until};

use crate::codec::{Decode, Encode, Encoding, MAX_MESSAGE, too_large};
use crate::status::{Result, Status};

/// Items that wait between a writer and the transport; a writer that is ahead by more waits.
pub(crate) const BUFFERED_ITEMS: usize = 16;

/// The items that the other side sends, in order. Ends with `None` when the other side is done.
///
/// Dropping it before its end tells the other side to stop.
pub struct Streaming<T> {
    items: Items,
    encoding: Encoding,
    decode: Decode<T>,
}

impl<T> Streaming<T> {
    pub(crate) fn new(items: Items, encoding: Encoding, decode: Decode<T>) -> Self {
        Self { items, encoding, decode }
    }

    /// The next item; an error is the last item.
    ///
    /// # Cancel safety
    /// No item is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T> Stream for Streaming<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<T>>> {
        let item = ready!(self.items.poll_next(cx));
        Poll::Ready(item.map(|item| (self.decode)(self.encoding, &item?)))
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

/// Where items for the other side go, in order. Dropping it ends the stream.
pub struct Sink<T> {
    items: ItemSink,
    encoding: Encoding,
    encode: Encode<T>,
}

impl<T> Sink<T> {
    pub(crate) fn new(items: ItemSink, encoding: Encoding, encode: Encode<T>) -> Self {
        Self { items, encoding, encode }
    }

    /// Sends one item; waits while the other side is behind.
    ///
    /// # Errors
    /// `Cancelled` when the other side is gone or wants no more, `ResourceExhausted` for an item that
    /// is too large, which is not sent.
    ///
    /// # Cancel safety
    /// A dropped future has either sent the item or not; the stream stays whole.
    pub fn send(&self, item: T) -> impl Future<Output = Result<()>> + Send + use<'_, T> {
        let item = (self.encode)(self.encoding, &item);
        async move { self.items.send(item?).await }
    }

    /// Returns when the other side is gone or wants no more.
    pub async fn closed(&self) {
        self.items.0.closed().await;
    }
}

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

/// Encoded items from the other side.
pub struct Items(Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>);

impl Items {
    /// The items of any stream.
    pub fn new(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// The items that are sent into the other end of a channel, for transports within one process.
    pub fn sent(mut channel: Outbound) -> Self {
        Self::new(from_fn(move |cx| channel.poll_recv(cx).map(|item| item.map(Ok))))
    }

    /// The next encoded item.
    ///
    /// # Cancel safety
    /// No item is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes>>> {
        self.0.as_mut().poll_next(cx)
    }

    /// These items until `deadline`; then `late` is the last one, and the rest is dropped.
    pub(crate) fn until(
        self,
        deadline: Instant,
        late: impl Fn() -> Status + Send + Unpin + 'static,
    ) -> Self {
        let mut timer = Box::pin(sleep_until(deadline));
        let mut items = Some(self);
        Self::new(from_fn(move |cx| {
            let Some(open) = &mut items else { return Poll::Ready(None) };
            if let Poll::Ready(item) = open.poll_next(cx) {
                return Poll::Ready(item);
            }
            ready!(timer.as_mut().poll(cx));
            items = None;
            Poll::Ready(Some(Err(late())))
        }))
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Items")
    }
}

/// The sending end of encoded items, bounded.
#[derive(Clone, Debug)]
pub struct ItemSink(mpsc::Sender<Bytes>);

impl ItemSink {
    /// Sends one encoded item; waits while the other side is behind.
    ///
    /// # Errors
    /// `Cancelled` when the other side is gone or wants no more, `ResourceExhausted` for an item over
    /// [`MAX_MESSAGE`], which is not sent.
    pub async fn send(&self, item: Bytes) -> Result<()> {
        if item.len() > MAX_MESSAGE {
            return Err(too_large(item.len()));
        }
        let gone = || Status::cancelled("the other side of the stream is gone");
        // Mostly there is room, and nothing to wait for.
        match self.0.try_send(item) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(item)) => self.0.send(item).await.map_err(|_| gone()),
            Err(TrySendError::Closed(_)) => Err(gone()),
        }
    }
}

/// Encoded items on their way to the transport.
pub type Outbound = mpsc::Receiver<Bytes>;

/// A bounded channel of encoded items.
pub fn items() -> (ItemSink, Outbound) {
    let (tx, rx) = mpsc::channel(BUFFERED_ITEMS);
    (ItemSink(tx), rx)
}

/// A stream of the items of an iterator, for handlers that return `impl Stream`.
pub fn iter<I: IntoIterator>(items: I) -> Iter<I::IntoIter> {
    Iter(items.into_iter())
}

/// The stream that [`iter`] makes.
#[derive(Clone, Debug)]
pub struct Iter<I>(I);

impl<I: Iterator + Unpin> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

/// A stream of what a function polls.
pub(crate) fn from_fn<F>(poll: F) -> impl Stream<Item = Result<Bytes>> + Send
where
    F: FnMut(&mut TaskContext<'_>) -> Poll<Option<Result<Bytes>>> + Send + Unpin,
{
    FromFn(poll)
}

struct FromFn<F>(F);

impl<F> Stream for FromFn<F>
where
    F: FnMut(&mut TaskContext<'_>) -> Poll<Option<Result<Bytes>>> + Unpin,
{
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        (self.0)(cx)
    }
}
