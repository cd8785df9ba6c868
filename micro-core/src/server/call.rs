//! One call on the server: transport -> here -> interceptors -> generated glue (decode, the user's
//! function, encode) -> back here -> transport.
//!
//! A call is polled once where it arrived. Only one that then has to wait counts towards the limit, and is
//! dropped at its deadline by whoever goes on with it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use super::{Inner, Running, counts};
use crate::call::{BoxFuture, Incoming, Outcome, Side};
use crate::context::{Context, Scope};
use crate::id::Id;
use crate::router::Method;
use crate::status::{Code, Executed, Result, Status};
use crate::transport::{Arrived, Begun, Rest, Route, too_late};

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
            let run = Some(run);
            let span = (!span.is_none()).then(|| Box::new(span));
            let run = Box::pin(Waiting { run, running, span });
            Begun::Waits(Rest { run, deadline: scope.deadline, correlation: scope.correlation })
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

/// Runs an event until it has to wait for the first time, with its panics caught.
pub(super) fn begin_event(
    inner: &Inner,
    (service, subscription): (usize, usize),
    event: Incoming,
    cx: &mut TaskContext<'_>,
) -> Begun {
    let mut event = event;
    event.context.set_shared(Arc::clone(&inner.shared));
    let scope = event.context.scope_of_call();
    let first = || {
        let mut run = inner.router.deliver(service, subscription, event);
        match run.as_mut().poll(cx) {
            Poll::Ready(outcome) => Polled::Ended(outcome),
            Poll::Pending => Polled::Waits(run),
        }
    };
    let polled = catch_unwind(AssertUnwindSafe(|| scope.enter(first)))
        .unwrap_or_else(|panic| Polled::Ended(Err(panicked(&*panic, scope.correlation))));
    match polled {
        Polled::Ended(outcome) => Begun::Ended(settle(outcome, scope.correlation)),
        Polled::Waits(run) => {
            let Scope { deadline, correlation, .. } = scope;
            let run = Box::pin(async move { settle(guarded(run, scope).await, correlation) });
            Begun::Waits(Rest { run, deadline, correlation })
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
        return Err(too_late(scope.correlation).with_executed(Executed::No));
    }
    if counts(method) { inner.admit() } else { Ok(()) }
}

/// The span of a call: for who wants to see it, which costs the others one comparison.
fn span(method: &Method, correlation: Id) -> Span {
    let (service, method) = (method.service, method.descriptor.name);
    tracing::debug_span!(target: "micro::call", "call", service, method, %correlation)
}

/// The rest of a call that has to wait. There may be many of them, so that this is small.
struct Waiting {
    /// `None` when it has ended.
    run: Option<BoxFuture<'static, Outcome>>,
    running: Running,
    /// `None` when nobody wants to see it.
    span: Option<Box<Span>>,
}

impl Waiting {
    /// Runs `part` of the call.
    fn within<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        let (span, scope) = (self.span.take(), self.running.scope);
        let entered = span.as_ref().map(|span| span.enter());
        let done = scope.enter(|| part(self));
        drop(entered);
        self.span = span;
        done
    }
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Outcome> {
        self.get_mut().within(|this| {
            let Some(run) = &mut this.run else { return Poll::Pending };
            let outcome = match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(outcome)) => this.running.method.outcome(outcome),
                Err(panic) => Err(panicked(&*panic, this.running.scope.correlation)),
            };
            this.run = None;
            Poll::Ready(this.running.ended(outcome))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.run.is_some() {
            self.within(|this| this.run = None);
        }
    }
}

/// Counts how a call ended.
pub(super) fn ended(method: &Method, outcome: Outcome, took: Duration) -> Outcome {
    count(method, outcome.as_ref().err().map(Status::code), took);
    outcome
}

/// Counts a call that ended so.
pub(super) fn count(method: &Method, error: Option<Code>, took: Duration) {
    method.tally.ended(error, took);
    let code = error.map_or("ok", Code::name);
    tracing::debug!(target: "micro::call", code, ?took, "ended");
}

/// Runs a subscriber as a part of its event: `Internal` when it panics.
async fn guarded(run: BoxFuture<'static, Outcome>, scope: Scope) -> Outcome {
    let mut run = pin!(scope.run(run));
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic, scope.correlation))))
    })
    .await
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
