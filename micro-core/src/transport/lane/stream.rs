//! Streams: what both ends need of them, and calls on a stream of their own, the client's side:
//! streaming calls and large bodies.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::connection::{Shared, StreamGuard, head};
use super::{Close, Link, Receiving, Sending, Unread, Unwritten};
use crate::call::Kind;
use crate::call::{Outcome, Reply};
use crate::status::{Executed, Result, Status};
use crate::stream::{BUFFERED_ITEMS, Items, Outbound};
use crate::tasks;
use crate::transport::{MAX_MESSAGE, Request, too_large};
use crate::wire::{End, Frame, Head, HeadRef, MAX_HEAD, OWN_STREAM, Open, Splitter, WireError};

/// A unary call whose body is too large for the lane.
pub(super) async fn unary<L: Link>(shared: &Arc<Shared<L>>, request: Request) -> Outcome {
    let (mut send, mut receive, _guard) = begin(shared, request).await?;
    send.finish();
    match frame(&mut receive, &mut splitter()).await {
        Ok(Some(Frame::End(End { metadata, result }))) => {
            Ok(Reply { metadata, body: result?, items: None })
        }
        Ok(Some(_)) => Err(Status::internal("the peer answered a unary call with a stream")),
        Err(error) => Err(error.status(shared)),
        Ok(None) => Err(FrameError::Cut.status(shared)),
    }
}

/// A streaming call.
pub(super) async fn open<L: Link>(
    shared: &Arc<Shared<L>>,
    request: Request,
    outbound: Option<Outbound>,
) -> Result<Items> {
    let kind = request.target.kind;
    let (mut send, receive, guard) = begin(shared, request).await?;
    let sender = match outbound {
        Some(outbound) => Some(tasks::Owned::spawn(async move {
            if pump(outbound, &mut send, None).await.is_ok() {
                send.finish();
            }
        })),
        None => {
            send.finish();
            None
        }
    };
    Ok(Items::new(Replies {
        receive,
        splitter: splitter(),
        kind,
        done: false,
        shared: Arc::clone(shared),
        sender,
        guard: Some(guard),
    }))
}

/// Opens the stream and sends what begins it.
async fn begin<L: Link>(
    shared: &Arc<Shared<L>>,
    request: Request,
) -> Result<(Outgoing<L::Sending>, L::Receiving, StreamGuard<L>)> {
    if request.body.len() > MAX_MESSAGE {
        return Err(too_large(request.body.len()).with_executed(Executed::No));
    }
    let guard = shared.stream(&request.target)?;
    let refused = |_| shared.gone(Executed::No);
    let (send, receive) = shared.link.open().await.map_err(refused)?;
    let mut send = Outgoing::new(send);
    let HeadRef { encoding, repeated, time_left, correlation, metadata } =
        head(&request, request.time_left());
    let metadata = metadata.clone();
    let head = Head { encoding, repeated, time_left, correlation, metadata };
    let kind = request.target.kind.number();
    let (service, method) = (request.target.service.into(), request.target.method.into());
    let open = Frame::Open(Open { kind, service, method, head, body: request.body });
    match send.frames([open], 0).await {
        // The reason why it is not read any more is what there is to read.
        Ok(()) | Err(Unwritten::Stopped) => Ok((send, receive, guard)),
        Err(_) => Err(shared.gone(Executed::Maybe)),
    }
}

/// The sending half of a stream. Dropped before [`Outgoing::finish`] it is cut, where it would else end
/// so that what was sent looks whole.
pub(super) struct Outgoing<S: Sending> {
    stream: S,
    finished: bool,
}

impl<S: Sending> Outgoing<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, finished: false }
    }

    /// Writes frames, small ones together, which need so much room, and large ones without a copy.
    pub(super) async fn frames(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
        room: usize,
    ) -> std::result::Result<(), Unwritten> {
        let (mut out, mut chunks) = (BytesMut::with_capacity(room), Vec::new());
        frames.into_iter().for_each(|frame| frame.put_linked(&mut out, &mut chunks));
        if !out.is_empty() {
            chunks.push(out.freeze());
        }
        self.stream.write(&mut chunks).await
    }

    /// Says that all is sent.
    pub(super) fn finish(&mut self) {
        self.stream.finish();
        self.finished = true;
    }

    /// Cuts it for this reason.
    pub(super) fn reset(&mut self, why: Close) {
        self.stream.reset(why);
        self.finished = true;
    }

    /// Returns when the peer wants no more, or has everything.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + use<S> {
        self.stream.stopped()
    }
}

impl<S: Sending> Drop for Outgoing<S> {
    fn drop(&mut self) {
        if !self.finished {
            self.reset(Close::Cancelled);
        }
    }
}

/// What a frame of an item has before the item.
const ITEM_HEAD: usize = 5;
/// As many bytes of items as it takes are written at once: quinn looks at each write that is not
/// acknowledged, for each packet.
const GATHERED: usize = 32 * 1024;

/// Writes items as they come, those that have gathered at once. Ends when the sender does, or with an
/// error when the peer wants no more.
///
/// With `again` it is polled again after the sender, at once, when it has set this: for a sender in the
/// same task, which goes on when there is room, so that more gathers.
pub(super) async fn pump<S: Sending>(
    mut outbound: Outbound,
    send: &mut Outgoing<S>,
    again: Option<&AtomicBool>,
) -> std::result::Result<(), Unwritten> {
    let mut items = Vec::with_capacity(BUFFERED_ITEMS);
    while outbound.recv_many(&mut items, BUFFERED_ITEMS).await > 0 {
        while let Some(again) = again
            && items.iter().map(Bytes::len).sum::<usize>() < GATHERED
        {
            turn(again).await;
            let before = items.len();
            while let Ok(item) = outbound.try_recv() {
                items.push(item);
            }
            // Items without bytes have frames too.
            if items.len() == before || items.len() >= GATHERED / ITEM_HEAD {
                break;
            }
        }
        let room = items.iter().map(room).sum();
        send.frames(items.drain(..).map(Frame::Item), room).await?;
        if let Some(again) = again {
            again.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// What an item adds to the frames that are written together.
fn room(item: &Bytes) -> usize {
    let copied = if item.len() < OWN_STREAM { item.len() } else { 0 };
    ITEM_HEAD + copied
}

/// Lets the sender have its turn.
async fn turn(again: &AtomicBool) {
    let mut was_polled = false;
    poll_fn(|_| {
        if was_polled {
            return Poll::Ready(());
        }
        was_polled = true;
        again.store(true, Ordering::Relaxed);
        Poll::Pending
    })
    .await;
}

/// Cuts the frames of an own stream.
pub(super) fn splitter() -> Splitter {
    Splitter::new(MAX_MESSAGE + MAX_HEAD)
}

/// Why a stream has no next frame.
#[derive(Debug)]
pub(super) enum FrameError {
    /// It was reset, or lost with its connection.
    Cut,
    /// The server did not take it: it came after the GOAWAY.
    Refused,
    /// The peer broke the protocol.
    Wire(WireError),
}

impl FrameError {
    /// The status of a call that has no other.
    fn status<L: Link>(&self, shared: &Shared<L>) -> Status {
        match self {
            Self::Cut => shared.gone(Executed::Maybe),
            Self::Refused => shared.gone(Executed::No),
            Self::Wire(error) => Status::internal(format!("the peer broke the protocol: {error}")),
        }
    }
}

impl From<WireError> for FrameError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// Reads what has come, at least something; `false` at the end of the stream.
pub(super) async fn read_more<R: Receiving>(
    receive: &mut R,
    splitter: &mut Splitter,
) -> std::result::Result<bool, Unread> {
    poll_fn(|cx| receive.poll_read(cx, splitter)).await
}

/// The next frame of a stream; `None` at its end.
pub(super) async fn frame<R: Receiving>(
    receive: &mut R,
    splitter: &mut Splitter,
) -> std::result::Result<Option<Frame>, FrameError> {
    poll_fn(|cx| poll_frame(receive, splitter, cx)).await
}

/// Polls for the next frame that this version knows.
pub(super) fn poll_frame<R: Receiving>(
    receive: &mut R,
    splitter: &mut Splitter,
    cx: &mut TaskContext<'_>,
) -> Poll<std::result::Result<Option<Frame>, FrameError>> {
    loop {
        if let Some(frame) = splitter.next()? {
            match Frame::read(frame)? {
                Frame::Unknown(_) => continue,
                known => return Poll::Ready(Ok(Some(known))),
            }
        }
        match ready!(receive.poll_read(cx, splitter)) {
            Ok(true) => {}
            Ok(false) if !splitter.is_partial() => return Poll::Ready(Ok(None)),
            Ok(false) => return Poll::Ready(Err(WireError::Truncated.into())),
            Err(Unread::Refused) => return Poll::Ready(Err(FrameError::Refused)),
            Err(Unread::Cut) => return Poll::Ready(Err(FrameError::Cut)),
        }
    }
}

/// What the server sends on a streaming call. Dropped before its end, it cancels the call.
struct Replies<L: Link> {
    receive: L::Receiving,
    splitter: Splitter,
    kind: Kind,
    done: bool,
    shared: Arc<Shared<L>>,
    /// Both go at the end of the stream, which its reader may keep: a connection that drains does not
    /// wait for that.
    sender: Option<tasks::Owned>,
    guard: Option<StreamGuard<L>>,
}

impl<L: Link> Stream for Replies<L> {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        let frame = ready!(poll_frame(&mut this.receive, &mut this.splitter, cx));
        if let Ok(Some(Frame::Item(item))) = frame {
            return Poll::Ready(Some(Ok(item)));
        }
        this.done = true;
        let outcome = match frame {
            Ok(Some(Frame::End(End { result: Ok(body), .. }))) => {
                (this.kind == Kind::ClientStream).then_some(Ok(body))
            }
            Ok(Some(Frame::End(End { result: Err(status), .. }))) => Some(Err(status)),
            Ok(Some(_)) => Some(Err(Status::internal("the peer broke the protocol of streams"))),
            Err(error) => Some(Err(error.status(&this.shared))),
            Ok(None) => Some(Err(FrameError::Cut.status(&this.shared))),
        };
        this.sender = None;
        this.guard = None;
        Poll::Ready(outcome)
    }
}

impl<L: Link> Drop for Replies<L> {
    fn drop(&mut self) {
        // Nothing to say when the stream has ended.
        self.receive.stop(Close::Cancelled);
    }
}
