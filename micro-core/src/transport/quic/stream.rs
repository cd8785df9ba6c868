//! Streams: what both ends need of them, and calls on a stream of their own, the client's side:
//! streaming calls and large bodies.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use quinn::{ReadError, RecvStream, SendStream, WriteError};

use super::close;
use super::connection::{Shared, StreamGuard, head};
use crate::call::Kind;
use crate::call::{Outcome, Reply};
use crate::status::{Executed, Result, Status};
use crate::stream::{BUFFERED_ITEMS, Items, Outbound};
use crate::tasks;
use crate::transport::{MAX_MESSAGE, Request, too_large};
use crate::wire::{End, Frame, MAX_HEAD, Open, Splitter, WireError};

/// A unary call whose body is too large for the lane.
pub(super) async fn unary(shared: &Arc<Shared>, request: Request) -> Outcome {
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
pub(super) async fn open(
    shared: &Arc<Shared>,
    request: Request,
    outbound: Option<Outbound>,
) -> Result<Items> {
    let kind = request.target.kind;
    let (mut send, receive, guard) = begin(shared, request).await?;
    let sender = match outbound {
        Some(outbound) => Some(tasks::Owned::spawn(async move {
            if pump(outbound, &mut send).await.is_ok() {
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
async fn begin(
    shared: &Arc<Shared>,
    request: Request,
) -> Result<(Sending, RecvStream, StreamGuard)> {
    if request.body.len() > MAX_MESSAGE {
        return Err(too_large(request.body.len()).with_executed(Executed::No));
    }
    let guard = shared.stream()?;
    let refused = |_| shared.gone(Executed::No);
    let (send, receive) = shared.quinn.open_bi().await.map_err(refused)?;
    let mut send = Sending::new(send);
    let (head, kind) = (head(&request), request.target.kind.number());
    let (service, method) = (request.target.service.into(), request.target.method.into());
    let open = Frame::Open(Open { kind, service, method, head, body: request.body });
    match send.frames([open]).await {
        // The reason why it is not read any more is what there is to read.
        Ok(()) | Err(WriteError::Stopped(_)) => Ok((send, receive, guard)),
        Err(_) => Err(shared.gone(Executed::Maybe)),
    }
}

/// The sending half of a stream. Dropped before [`Sending::finish`] it is cut, where quinn would end it
/// so that what was sent looks whole.
pub(super) struct Sending {
    stream: SendStream,
    finished: bool,
}

impl Sending {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream, finished: false }
    }

    /// Writes frames, small ones together and large ones without a copy.
    pub(super) async fn frames(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
    ) -> std::result::Result<(), WriteError> {
        let (mut out, mut chunks) = (BytesMut::new(), Vec::new());
        frames.into_iter().for_each(|frame| frame.put_linked(&mut out, &mut chunks));
        if !out.is_empty() {
            chunks.push(out.freeze());
        }
        self.stream.write_all_chunks(&mut chunks).await
    }

    /// Says that all is sent.
    pub(super) fn finish(&mut self) {
        // Fails only when the peer wants no more.
        let _ = self.stream.finish();
        self.finished = true;
    }

    /// Cuts it for this reason.
    pub(super) fn reset(&mut self, reason: quinn::VarInt) {
        let _ = self.stream.reset(reason);
        self.finished = true;
    }

    /// Returns when the peer wants no more, or has everything.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopped = self.stream.stopped();
        async move { drop(stopped.await) }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.finished {
            self.reset(close::CANCELLED);
        }
    }
}

/// Writes items as they come, those that have gathered at once. Ends when the sender does, or with an
/// error when the peer wants no more.
pub(super) async fn pump(
    mut outbound: Outbound,
    send: &mut Sending,
) -> std::result::Result<(), WriteError> {
    let mut items = Vec::with_capacity(BUFFERED_ITEMS);
    while outbound.recv_many(&mut items, BUFFERED_ITEMS).await > 0 {
        send.frames(items.drain(..).map(Frame::Item)).await?;
    }
    Ok(())
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
    fn status(&self, shared: &Shared) -> Status {
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

/// The next frame of a stream; `None` at its end.
pub(super) async fn frame(
    receive: &mut RecvStream,
    splitter: &mut Splitter,
) -> std::result::Result<Option<Frame>, FrameError> {
    std::future::poll_fn(|cx| poll_frame(receive, splitter, cx)).await
}

/// Polls for the next frame that this version knows.
pub(super) fn poll_frame(
    receive: &mut RecvStream,
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
        let chunk = ready!(pin!(receive.read_chunk(usize::MAX, true)).poll(cx));
        match chunk {
            Ok(Some(chunk)) => splitter.push(chunk.bytes),
            Ok(None) if !splitter.is_partial() => return Poll::Ready(Ok(None)),
            Ok(None) => return Poll::Ready(Err(WireError::Truncated.into())),
            Err(ReadError::Reset(close::REFUSED)) => return Poll::Ready(Err(FrameError::Refused)),
            Err(_) => return Poll::Ready(Err(FrameError::Cut)),
        }
    }
}

/// What the server sends on a streaming call. Dropped before its end, it cancels the call.
struct Replies {
    receive: RecvStream,
    splitter: Splitter,
    kind: Kind,
    done: bool,
    shared: Arc<Shared>,
    /// Both go at the end of the stream, which its reader may keep: a connection that drains does not
    /// wait for that.
    sender: Option<tasks::Owned>,
    guard: Option<StreamGuard>,
}

impl Stream for Replies {
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

impl Drop for Replies {
    fn drop(&mut self) {
        // Nothing to say when the stream has ended.
        let _ = self.receive.stop(close::CANCELLED);
    }
}
