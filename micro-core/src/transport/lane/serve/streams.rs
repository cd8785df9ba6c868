//! Calls on streams of their own, the server's side: streaming calls and large bodies.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Served, arrived, end};
use crate::call::{BoxFuture, Outcome};
use crate::status::{Executed, Status};
use crate::stream::{self as items, Items, Outbound};
use crate::transport::LONGEST_CALL;
use crate::transport::lane::stream::{FrameError, Outgoing, frame, poll_frame, pump, splitter};
use crate::transport::lane::{Close, Link, Receiving, Sending};
use crate::wire::{Frame, Open, Splitter, WireError};

/// The beginning of an own stream must arrive within this, or at [`PACE`].
const FIRST_FRAME: Duration = Duration::from_secs(2);
/// Bytes a second that keep a large request alive, however slow the network is.
const PACE: usize = 1024;
/// How long the end of a call may take to be read after its deadline.
const GRACE: Duration = Duration::from_secs(5);
/// Turns of a handler and of what writes its items, before others have theirs.
const TURNS: usize = 8;
/// Own streams that may end without a call, and how many more each second: nghttp2's figures for
/// requests that are reset as soon as they are made.
const EMPTY_STREAMS: f64 = 1_000.0;
const EMPTY_STREAMS_PER_SECOND: f64 = 33.0;

impl<L: Link> Served<L> {
    pub(super) async fn accept_streams(self: Arc<Self>) {
        let mut running = tokio::task::JoinSet::new();
        let mut empty = Empty { tokens: EMPTY_STREAMS, filled: Instant::now() };
        loop {
            let accepted = tokio::select! {
                accepted = self.link.accept() => accepted,
                Some(ended) = running.join_next() => {
                    if matches!(ended, Ok(false)) && !empty.one_more() {
                        return self.link.close(Close::Protocol, "too many streams without a call");
                    }
                    continue;
                }
            };
            let Ok((send, mut receive)) = accepted else { return };
            let mut send = Outgoing::new(send);
            if !self.streams.one_more() {
                send.reset(Close::Refused);
                receive.stop(Close::Refused);
                continue;
            }
            let connection = Arc::clone(&self);
            running.spawn(async move { connection.stream(send, receive).await });
        }
    }

    /// Runs one call on its own stream; `false` when there was none on it.
    async fn stream(&self, mut send: Outgoing<L::Sending>, mut receive: L::Receiving) -> bool {
        let mut splitter = splitter();
        let Ok(open) = first(&mut receive, &mut splitter).await else {
            send.reset(Close::Protocol);
            return false;
        };
        let until = Instant::now() + open.head.time_left.min(LONGEST_CALL) + GRACE;
        let correlation = open.head.correlation;
        let stopped = send.stopped();
        let run = async {
            let outcome = self.run_stream(open, receive, splitter, &mut send).await;
            if send.frames([Frame::End(end(correlation, outcome))], 0).await.is_ok() {
                send.finish();
            }
        };
        // Ended by the handler; or the client wants no more, or reads no more of a call whose time is
        // up: then the handler is dropped where it waits, and the stream is cut.
        tokio::select! {
            _ = timeout_at(until, run) => {}
            () = stopped => {}
        }
        true
    }

    async fn run_stream(
        &self,
        open: Open,
        receive: L::Receiving,
        splitter: Splitter,
        send: &mut Outgoing<L::Sending>,
    ) -> Outcome {
        let Open { kind, service, method, head, body } = open;
        let route = self.dispatch.resolve(&service, &method)?;
        let expected = route.target.kind;
        if kind != expected.number() {
            let text = format!("{} is a {} call", route.target, expected.name());
            return Err(Status::invalid_argument(text).with_executed(Executed::No));
        }
        let mut call = arrived(&self.peer, head, body, Instant::now())?;
        let mut outbound = None;
        if expected.has_outbound() {
            let (sink, receiver) = items::items();
            call.outbound = Some(sink);
            outbound = Some(receiver);
        }
        if expected.has_inbound() {
            call.inbound = Some(inbound(receive, splitter));
        }
        let run = self.dispatch.call(&route, call);
        let Some(outbound) = outbound else { return run.await };
        beside(run, outbound, send).await
    }
}

/// Runs a handler and writes its items, in one task: it goes on while they are written, and what it sent is
/// written before its end. A failed write is a client that is gone, which ends `stream`.
async fn beside<S: Sending>(
    mut run: BoxFuture<'static, Outcome>,
    outbound: Outbound,
    send: &mut Outgoing<S>,
) -> Outcome {
    let again = AtomicBool::new(false);
    let mut pump = pin!(pump(outbound, send, Some(&again)));
    let (mut outcome, mut pumped) = (None, false);
    poll_fn(|cx| {
        for _ in 0..TURNS {
            if outcome.is_none()
                && let Poll::Ready(end) = run.as_mut().poll(cx)
            {
                outcome = Some(end);
            }
            pumped = pumped || pump.as_mut().poll(cx).is_ready();
            match outcome.take() {
                Some(end) if pumped => return Poll::Ready(end),
                end => outcome = end,
            }
            // A handler that waited for room has some now, and its next items join these.
            if pumped || !again.swap(false, Ordering::Relaxed) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// What is left of the streams that may end without a call.
struct Empty {
    tokens: f64,
    filled: Instant,
}

impl Empty {
    fn one_more(&mut self) -> bool {
        let now = Instant::now();
        let refill = (now - self.filled).as_secs_f64() * EMPTY_STREAMS_PER_SECOND;
        self.tokens = (self.tokens + refill).min(EMPTY_STREAMS) - 1.0;
        self.filled = now;
        self.tokens >= 0.0
    }
}

/// The first frame of an own stream: it may be large, and slow as long as it keeps coming.
async fn first<R: Receiving>(receive: &mut R, splitter: &mut Splitter) -> Result<Open, FrameError> {
    let began = Instant::now();
    loop {
        let earned = Duration::from_secs((splitter.buffered() / PACE) as u64);
        let until = began + FIRST_FRAME + earned;
        if until <= Instant::now() {
            return Err(FrameError::Cut);
        }
        match timeout_at(until, frame(receive, splitter)).await {
            Ok(Ok(Some(Frame::Open(open)))) => return Ok(open),
            Ok(Ok(_)) => return Err(WireError::Invalid("kind").into()),
            Ok(Err(error)) => return Err(error),
            // What has come meanwhile may have earned more time.
            Err(_) => {}
        }
    }
}

/// The items that a client streams.
fn inbound<R: Receiving>(mut receive: R, mut splitter: Splitter) -> Items {
    let mut ended = false;
    Items::new(items::from_fn(move |cx| {
        if ended {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(poll_frame(&mut receive, &mut splitter, cx));
        if let Ok(Some(Frame::Item(item))) = frame {
            return Poll::Ready(Some(Ok(item)));
        }
        ended = true;
        Poll::Ready(match frame {
            Ok(None) => None,
            Ok(Some(_)) => Some(Err(Status::invalid_argument("not an item of a stream"))),
            Err(_) => Some(Err(Status::cancelled("the caller's stream was cut"))),
        })
    }))
}
