//! Server: takes calls from every transport and runs them. `call` is the story of one call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::call::{BoxFuture, Incoming, Outcome};
use crate::context::TypeMap;
use crate::router::Router;
use crate::status::{Executed, Result, Status};
use crate::transport::{Arrived, Dispatch, Route};

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

    /// Unary calls that run now.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    /// Runs an event through the interceptors to a subscriber.
    pub(crate) async fn deliver(
        &self,
        service: usize,
        subscription: usize,
        call: Incoming,
    ) -> Outcome {
        let mut call = call;
        call.context.set_shared(Arc::clone(&self.0.shared));
        let scope = call.context.scope_of_call();
        let run = scope.run(self.0.router.deliver(service, subscription, call));
        call::guarded(run, scope.deadline, scope.correlation).await
    }
}

impl Dispatch for Server {
    fn resolve(&self, service: &str, method: &str) -> Result<Route> {
        self.0.router.resolve(service, method)
    }

    fn call(&self, route: &Route, request: Arrived) -> BoxFuture<'static, Outcome> {
        Box::pin(call::run(Arc::clone(&self.0), route.clone(), request))
    }
}

/// Counts a call in while it runs.
struct Running(Arc<Inner>);

impl Running {
    fn begin(inner: &Arc<Inner>) -> Result<Self> {
        let running = inner.running.fetch_add(1, Ordering::AcqRel);
        let guard = Self(Arc::clone(inner));
        if running < inner.max_running {
            return Ok(guard);
        }
        Err(Status::resource_exhausted("the server runs as many calls as it may")
            .with_executed(Executed::No)
            .with_retry_after(Duration::from_millis(100)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("router", &self.0.router).finish_non_exhaustive()
    }
}
