//! Server: takes calls from every transport and runs them. `call` is the story of one call.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::{BoxFuture, Incoming, Kind, Outcome};
use crate::context::{Scope, TypeMap};
use crate::router::{Method, Router};
use crate::stats::Tallied;
use crate::status::{Code, Executed, Result, Status};
use crate::transport::{Arrived, Begun, Dispatch, Route};

mod call;

/// The services of a process, ready to be called. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    router: Router,
    /// What every context can find, e.g. the publisher.
    shared: Arc<TypeMap>,
    running: AtomicUsize,
    max_running: usize,
}

impl Server {
    /// A server that runs at most `max_running` unary calls at the same time and refuses more.
    pub(crate) fn new(router: Router, shared: Arc<TypeMap>, max_running: usize) -> Self {
        Self(Arc::new(Inner { router, shared, running: AtomicUsize::new(0), max_running }))
    }

    /// A server of these services, as a transport needs one, without what an app shares with them.
    pub fn of(router: Router, max_running: usize) -> Self {
        Self::new(router, Arc::default(), max_running)
    }

    /// The services.
    pub fn router(&self) -> &Router {
        &self.0.router
    }

    /// Unary calls that wait for something in their handlers now.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    /// What has happened to the calls of each handler so far.
    pub fn stats(&self) -> Vec<MethodStats> {
        let methods = self.0.router.methods();
        let stats = methods.map(|method| MethodStats {
            service: method.service,
            method: method.descriptor.name,
            calls: method.tally.read(),
        });
        stats.collect()
    }

    /// Begins to run an event through the interceptors to a subscriber.
    pub(crate) fn deliver(
        &self,
        service: usize,
        subscription: usize,
        event: Incoming,
        cx: &mut Context<'_>,
    ) -> Begun {
        call::begin_event(&self.0, (service, subscription), event, cx)
    }
}

/// What has happened to the calls of one handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MethodStats {
    /// The service.
    pub service: &'static str,
    /// The handler.
    pub method: &'static str,
    /// How its calls ended, and how long they took.
    pub calls: Tallied,
}

impl Dispatch for Server {
    fn resolve(&self, service: &str, method: &str) -> Result<Route> {
        self.0.router.resolve(service, method)
    }

    fn begin(
        &self,
        route: &Route,
        request: Arrived,
        now: &mut Instant,
        cx: &mut Context<'_>,
    ) -> Begun {
        call::begin(&self.0, route, request, now, cx)
    }

    fn call(&self, route: &Route, request: Arrived) -> BoxFuture<'static, Outcome> {
        let (inner, route, mut request) = (Arc::clone(&self.0), route.clone(), Some(request));
        Box::pin(async move {
            let begun = poll_fn(|cx| match request.take() {
                Some(request) => {
                    Poll::Ready(call::begin(&inner, &route, request, &mut Instant::now(), cx))
                }
                // Ready at its first poll, it is not polled again.
                None => Poll::Pending,
            });
            match begun.await {
                Begun::Ended(outcome) => outcome,
                Begun::Waits(rest) => rest.in_time().await,
            }
        })
    }
}

impl Inner {
    /// Refuses a call when enough of them run. Calls that end where they arrive are no more than there are
    /// threads, and are not counted.
    fn admit(&self) -> Result<()> {
        if self.running.load(Ordering::Relaxed) < self.max_running {
            return Ok(());
        }
        Err(Status::resource_exhausted("the server runs as many calls as it may")
            .with_executed(Executed::No)
            .with_retry_after(Duration::from_millis(100)))
    }
}

/// A call that waits, counted as long as it does.
struct Running {
    inner: Arc<Inner>,
    method: Arc<Method>,
    scope: Scope,
    began: Instant,
    ended: bool,
}

impl Running {
    fn begin(inner: Arc<Inner>, method: Arc<Method>, scope: Scope, began: Instant) -> Self {
        inner.running.fetch_add(usize::from(counts(&method)), Ordering::Relaxed);
        method.tally.began_to_wait();
        Self { inner, method, scope, began, ended: false }
    }

    fn ended(&mut self, outcome: Outcome) -> Outcome {
        self.ended = true;
        let outcome = call::settle(outcome, self.scope.correlation);
        call::ended(&self.method, outcome, self.began.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inner.running.fetch_sub(usize::from(counts(&self.method)), Ordering::Relaxed);
        self.method.tally.ceased_to_wait();
        if !self.ended {
            let now = Instant::now();
            let code = match self.scope.deadline <= now {
                true => Code::DeadlineExceeded,
                false => Code::Cancelled,
            };
            call::count(&self.method, Some(code), now - self.began);
        }
    }
}

/// Whether a handler counts towards the limit. Streams may live long, and are bounded by each connection.
fn counts(method: &Method) -> bool {
    method.descriptor.kind == Kind::Unary
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("router", &self.0.router).finish_non_exhaustive()
    }
}
