//! One call on the server: transport -> here -> interceptors -> generated glue (decode, the user's
//! function, encode) -> back here -> transport.
//!
//! A call is polled once where it arrived. Only one that then has to wait gets a timer and counts towards
//! the limit.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use super::{Inner, Running, counts};
use crate::call::{BoxFuture, Incoming, Outcome, Side};
use crate::context::{Context, Scope};
use crate::id::Id;
use crate::router::{Method, late};
use crate::status::{Code, Executed, Result, Status};
use crate::transport::{Arrived, Begun, Route};

/// Runs a call until it has to wait for the first time: within the server's limit, and with its panics
/// caught. `now` goes from when it begins to when this returns.
pub(super) fn begin(
    inner: &Arc<Inner>,
    route: &Route,
    request: Arrived,
    now: &mut Instant,
    cx: &mut TaskContext<'_>,
) -> Begun {
    let (began, method) = (*now, inner.router.method(route));
    let call = incoming(inner, route, request, method.descriptor.timeout.map(|t| began + t));
    let scope = call.context.scope_of_call();
    let span = span(method, scope.correlation);
    let polled = admit(inner, method, scope, began).and_then(|()| {
        let first = || {
            let mut run = method.run(call)?;
            Ok(match run.as_mut().poll(cx) {
                Poll::Ready(outcome) => Polled::Ended(method.outcome(outcome)),
                Poll::Pending => Polled::Waits(run),
            })
        };
        let first = || span.in_scope(|| scope.enter(first));
        catch_unwind(AssertUnwindSafe(first))
            .unwrap_or_else(|panic| Ok(Polled::Ended(Err(panicked(&*panic, scope.correlation)))))
    });
    *now = Instant::now();
    match polled {
        Ok(Polled::Waits(run)) => {
            let running = Running::begin(Arc::clone(inner), Arc::clone(method), scope, began);
            Begun::Waits(Box::pin(wait(run, running).instrument(span)))
        }
        Ok(Polled::Ended(outcome)) => {
            Begun::Ended(ended(method, settle(outcome, scope.correlation), *now - began))
        }
        Err(refused) => {
            let refused = Err(refused.with_correlation(scope.correlation));
            Begun::Ended(ended(method, refused, *now - began))
        }
    }
}

enum Polled {
    Ended(Outcome),
    Waits(BoxFuture<'static, Outcome>),
}

fn incoming(inner: &Inner, route: &Route, request: Arrived, timeout: Option<Instant>) -> Incoming {
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
    let deadline = timeout.map_or(deadline, |timeout| timeout.min(deadline));
    let mut context = Context::with_scope(Scope { deadline, correlation, repeated });
    context.set_peer(peer);
    context.set_metadata(metadata);
    context.set_shared(Arc::clone(&inner.shared));
    let target = route.target.clone();
    Incoming { target, side: Side::Server, context, encoding, body, inbound, outbound }
}

/// Whether a call may begin.
fn admit(inner: &Inner, method: &Method, scope: Scope, now: Instant) -> Result<()> {
    if scope.deadline <= now {
        return Err(late(scope.correlation).with_executed(Executed::No));
    }
    if counts(method) { inner.admit() } else { Ok(()) }
}

/// The span of a call: for who wants to see it, which costs the others one comparison.
fn span(method: &Method, correlation: Id) -> Span {
    let (service, method) = (method.service, method.descriptor.name);
    tracing::debug_span!(target: "micro::call", "call", service, method, %correlation)
}

/// The rest of a call that has to wait.
async fn wait(run: BoxFuture<'static, Outcome>, running: Running) -> Outcome {
    let outcome = match guarded(run, running.scope).await {
        Ok(outcome) => running.method.outcome(outcome),
        Err(cut) => Err(cut),
    };
    running.ended(outcome)
}

/// Counts how a call ended.
pub(super) fn ended(method: &Method, outcome: Outcome, took: Duration) -> Outcome {
    let error = outcome.as_ref().err().map(Status::code);
    method.tally.ended(error, took);
    let code = error.map_or("ok", Code::name);
    tracing::debug!(target: "micro::call", code, ?took, "ended");
    outcome
}

/// Runs a handler as a part of its call.
///
/// # Errors
/// `DeadlineExceeded` when it was ended at its deadline, `Internal` when it panicked.
pub(super) async fn guarded(run: BoxFuture<'static, Outcome>, scope: Scope) -> Result<Outcome> {
    let mut run = pin!(timeout_at(scope.deadline, scope.run(run)));
    let polled = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    match polled.await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(_)) => Err(late(scope.correlation)),
        Err(panic) => Err(panicked(&*panic, scope.correlation)),
    }
}

/// An outcome as it travels: a status under the call's correlation id. The cause stays in the log.
pub(super) fn settle(outcome: Outcome, correlation: Id) -> Outcome {
    outcome.map_err(|status| {
        if let Some(cause) = status.source() {
            tracing::error!(%correlation, code = %status.code(), %cause, "a handler failed");
        }
        let executed = match (status.executed(), status.code()) {
            (Executed::Maybe, Code::DeadlineExceeded) => Executed::Maybe,
            (Executed::Maybe, _) => Executed::Yes,
            (known, _) => known,
        };
        status.with_correlation(correlation).with_executed(executed)
    })
}

fn panicked(panic: &(dyn Any + Send), correlation: Id) -> Status {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(%correlation, panic = text.unwrap_or("of another type"), "a handler panicked");
    Status::internal("internal error").with_correlation(correlation).with_executed(Executed::Yes)
}
