//! One call on the server: transport -> here -> interceptors -> generated glue (decode, the user's
//! function, encode) -> back here -> transport.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use super::{Inner, Running};
use crate::call::Kind;
use crate::call::{Incoming, Outcome, Side};
use crate::context::{Context, Scope};
use crate::id::Id;
use crate::status::{Code, Executed, Status};
use crate::transport::{Arrived, Route};

/// Runs a call: within its deadline, within the server's limit, and with its panics caught.
pub(super) async fn run(inner: Arc<Inner>, route: Route, request: Arrived) -> Outcome {
    let method = inner.router.method(&route);
    let (mut call, correlation) = incoming(&inner, &route, request);
    if let Some(timeout) = method.timeout {
        call.context.shorten_deadline(Instant::now() + timeout);
    }
    let deadline = call.context.deadline();
    if deadline <= Instant::now() {
        return Err(late(correlation).with_executed(Executed::No));
    }
    // Streams may live long and are bounded by each connection instead.
    let _running = match method.kind {
        Kind::Unary => Some(Running::begin(&inner).map_err(|s| s.with_correlation(correlation))?),
        Kind::Bidi | Kind::ClientStream | Kind::ServerStream => None,
    };
    let run = call.context.scope_of_call().run(inner.router.call(&route, call));
    guarded(run, deadline, correlation).await
}

fn incoming(inner: &Inner, route: &Route, request: Arrived) -> (Incoming, Id) {
    let Arrived {
        peer,
        encoding,
        deadline,
        correlation,
        repeated,
        metadata,
        body,
        inbound,
        outbound,
    } = request;
    let mut context = Context::with_scope(Scope { deadline, correlation, repeated });
    context.set_peer(peer);
    context.set_metadata(metadata);
    context.set_shared(Arc::clone(&inner.shared));
    let target = route.target.clone();
    let side = Side::Server;
    (Incoming { target, side, context, encoding, body, inbound, outbound }, correlation)
}

/// Ends a handler at its deadline, turns its panic into `Internal`, and logs what is not sent.
pub(super) async fn guarded(
    run: impl Future<Output = Outcome>,
    deadline: Instant,
    correlation: Id,
) -> Outcome {
    let mut run = pin!(timeout_at(deadline, run));
    let polled = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    match polled.await {
        Ok(Ok(Ok(reply))) => Ok(reply),
        Ok(Ok(Err(status))) => Err(settle(status, correlation)),
        Ok(Err(_)) => Err(late(correlation)),
        Err(panic) => Err(panicked(&*panic, correlation)),
    }
}

/// A handler's status as it travels: under the call's correlation id. The cause stays in the log.
fn settle(status: Status, correlation: Id) -> Status {
    if let Some(cause) = status.source() {
        tracing::error!(%correlation, code = %status.code(), %cause, "a handler failed");
    }
    let executed = match (status.executed(), status.code()) {
        (Executed::Maybe, Code::DeadlineExceeded) => Executed::Maybe,
        (Executed::Maybe, _) => Executed::Yes,
        (known, _) => known,
    };
    status.with_correlation(correlation).with_executed(executed)
}

fn late(correlation: Id) -> Status {
    Status::deadline_exceeded("the deadline has passed").with_correlation(correlation)
}

fn panicked(panic: &(dyn Any + Send), correlation: Id) -> Status {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(%correlation, panic = text.unwrap_or("of another type"), "a handler panicked");
    Status::internal("internal error").with_correlation(correlation).with_executed(Executed::Yes)
}
