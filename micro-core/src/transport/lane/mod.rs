//! `micro/1`, whatever carries it: many small calls share one stream, the lane; everything else has a
//! stream of its own.
//!
//! `connection` is the client's end and `serve` the server's. Both are written against a [`Link`], which
//! QUIC is by itself; `docs/wire.md` specifies the frames.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::status::{Executed, Result, Status};
use crate::wire::Splitter;

mod calls;
mod clients;
mod connection;
mod outbox;
mod routes;
mod serve;
mod stream;

pub(super) use clients::{Clients, HalfOpen};
pub(super) use connection::LaneConnection;
use serve::{All, Served};

/// A connection to one peer that has proved who it is: ordered streams of bytes. Clones are the same.
pub(super) trait Link: Clone + Send + Sync + 'static {
    /// The half of a stream that is written.
    type Sending: Sending;
    /// The half that is read.
    type Receiving: Receiving;

    /// The largest frame on the lane. Where a server cannot open streams its large replies come there.
    const MAX_LANE_FRAME: usize;

    /// Opens a stream; waits while the peer allows no more of them. The client's; its first is the lane.
    fn open(&self) -> impl Future<Output = Result<(Self::Sending, Self::Receiving), Lost>> + Send;

    /// The next stream that the client has opened.
    fn accept(&self)
    -> impl Future<Output = Result<(Self::Sending, Self::Receiving), Lost>> + Send;

    /// Opens a stream for one large reply, the server's; `None` where it goes on the lane.
    fn open_reply(&self) -> impl Future<Output = Result<Option<Self::Sending>, Lost>> + Send;

    /// The next stream with a large reply; waits for ever where there are none.
    fn accept_reply(&self) -> impl Future<Output = Result<Self::Receiving, Lost>> + Send;

    /// Ends the connection, unless it has ended, and says why.
    fn close(&self, why: Close, text: &str);

    /// Why the connection has ended, if it has.
    fn ended(&self) -> Option<Ended>;

    /// Returns when the connection has ended.
    fn closed(&self) -> impl Future<Output = ()> + Send;
}

/// The half of a stream that is written. Dropped before it is finished, it may look whole to the peer:
/// [`stream::Outgoing`] sees to that.
pub(super) trait Sending: Send + 'static {
    /// Writes all of the chunks. What it has taken is cut off from them, so that it can be polled again
    /// with the same ones, and they are empty in the end.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<(), Unwritten>>;

    /// Writes all of the chunks. Dropped in the middle it may have written some.
    fn write(
        &mut self,
        chunks: &mut [Bytes],
    ) -> impl Future<Output = Result<(), Unwritten>> + Send {
        poll_fn(|cx| self.poll_write(cx, chunks))
    }

    /// Says that all is written.
    fn finish(&mut self);

    /// Cuts the stream.
    fn reset(&mut self, why: Close);

    /// Goes before other streams.
    fn hurry(&mut self);

    /// Returns when the peer reads no more, or has everything.
    fn stopped(&self) -> impl Future<Output = ()> + Send + use<Self>;
}

/// The half of a stream that is read.
pub(super) trait Receiving: Send + Unpin + 'static {
    /// Adds what has come to the splitter, at least something; `false` at the end of the stream.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Splitter,
    ) -> Poll<Result<bool, Unread>>;

    /// Reads no more.
    fn stop(&mut self, why: Close);
}

/// The connection has ended.
#[derive(Debug)]
pub(super) struct Lost;

/// Why a stream could not be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unwritten {
    /// The peer reads no more of it; what it sent may say why.
    Stopped,
    /// The connection has ended.
    Lost,
}

/// Why a stream could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unread {
    /// The peer did not take it: it came after the GOAWAY.
    Refused,
    /// It was cut, or its connection has ended.
    Cut,
}

/// Why a connection has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// For people.
    pub(super) text: String,
    /// Whether the peer ended the handshake: then no call has run.
    pub(super) is_refusal: bool,
}

/// Why a connection or stream is closed, as the peer sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Close {
    /// All is done.
    Done = 0,
    /// The peer sent what the protocol forbids.
    Protocol = 1,
    /// The call is cancelled.
    Cancelled = 2,
    /// The side that closes has no more time.
    GoingAway = 3,
    /// The stream came after the GOAWAY and was not taken.
    Refused = 4,
}

/// The status of a call on a connection that has ended.
pub(super) fn lost(service: &str, why: &str, executed: Executed) -> Status {
    let doubt = match executed {
        Executed::Maybe => "; the call may have run",
        Executed::No => "; the call did not run",
        Executed::Yes => "",
    };
    Status::unavailable(format!("the connection to `{service}` is lost: {why}{doubt}"))
        .with_executed(executed)
}
