//! Context: what a handler may know about the call that it serves.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Result, Status};

/// What is known about a call: who calls, until when, and what came with the request.
///
/// A handler takes it by reference: `ctx: &Context`.
#[derive(Clone, Debug)]
pub struct Context {
    scope: Scope,
    // What few calls have is behind a pointer: a context is made and moved for each call.
    peer: Option<Arc<Peer>>,
    metadata: Metadata,
    principal: Option<Box<Principal>>,
    values: TypeMap,
    shared: Option<Arc<TypeMap>>,
}

/// The peer of a call that never left the process.
static NOBODY: Peer = Peer { service: None, domain: None, address: None };

/// Who is on the other end of a connection, as its certificate proved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    /// The service that the certificate names; none within one process.
    pub service: Option<String>,
    /// The trust domain of the certificate.
    pub domain: Option<String>,
    /// Where the packets come from.
    pub address: Option<SocketAddr>,
}

/// Who a call is made for. An interceptor of the phase `authenticate` provides it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Principal {
    /// The unique name of the user or service.
    pub name: String,
    /// What it may act as.
    pub roles: Vec<String>,
}

/// Something that a handler can borrow from the call.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` is not something a handler can borrow from the call",
    label = "not provided by the call's context",
    note = "parameters taken by reference come from the call: `&Context`, `&Metadata`, `&Peer`, `&Principal`, or a type implementing `micro::FromContext`",
    note = "parameters taken by value are decoded from the request: write `{Self}` instead of `&{Self}` if the caller sends it"
)]
pub trait FromContext {
    /// Finds the value.
    ///
    /// # Errors
    /// The status that the caller gets when the call does not have it.
    fn from_context(context: &Context) -> Result<&Self>;
}

/// The part of a context that calls made on its behalf inherit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) deadline: Instant,
    pub(crate) correlation: Id,
    /// Whether a tier above is already repeating this call, so that this one must not multiply it.
    pub(crate) repeated: bool,
}

impl Scope {
    /// Runs `future` so that calls that it makes inherit this.
    pub(crate) fn run<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        SCOPE.scope(self, future)
    }

    /// Runs `future` to the deadline of this, if that is nearer than the one around it; what it calls then
    /// inherits it. `None` when the time was up.
    pub(crate) async fn narrow<F: Future + Unpin>(self, future: F) -> Option<F::Output> {
        match Context::inherited() {
            Some(around) if around.deadline <= self.deadline => Some(future.await),
            _ => timeout_at(self.deadline, self.run(future)).await.ok(),
        }
    }

    /// Runs `poll` as a part of the call.
    pub(crate) fn enter<T>(self, poll: impl FnOnce() -> T) -> T {
        SCOPE.sync_scope(self, poll)
    }
}

impl Context {
    /// A context for a call that has this long.
    pub fn new(time_left: Duration) -> Self {
        Self::with_scope(Scope {
            deadline: Instant::now() + time_left,
            correlation: Id::random(),
            repeated: false,
        })
    }

    pub(crate) fn with_scope(scope: Scope) -> Self {
        Self {
            scope,
            peer: None,
            metadata: Metadata::new(),
            principal: None,
            values: TypeMap::default(),
            shared: None,
        }
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Instant {
        self.scope.deadline
    }

    /// How long the caller still waits; zero when the deadline has passed.
    pub fn time_left(&self) -> Duration {
        self.scope.deadline.saturating_duration_since(Instant::now())
    }

    /// Moves the deadline closer. A later one is ignored: time never grows on the way down.
    pub fn shorten_deadline(&mut self, deadline: Instant) {
        self.scope.deadline = self.scope.deadline.min(deadline);
    }

    /// The id under which everything about this call is logged, on every hop.
    pub fn correlation(&self) -> Id {
        self.scope.correlation
    }

    /// Who is on the other end of the connection.
    pub fn peer(&self) -> &Peer {
        self.peer.as_deref().unwrap_or(&NOBODY)
    }

    /// What came beside the request.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What came beside the request, for interceptors to change.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Who the call is made for.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_deref()
    }

    /// Says who the call is made for: what an `authenticate` interceptor does.
    pub fn set_principal(&mut self, principal: Principal) {
        self.principal = Some(Box::new(principal));
    }

    /// Keeps a value for whoever comes later in this call.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.values.insert(value);
    }

    /// A value that an interceptor kept for this call.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.values.get().or_else(|| self.shared.as_ref()?.get())
    }

    /// Runs `future` as part of this call: calls that it makes inherit the deadline and correlation id.
    ///
    /// Handlers run so already; a task that a handler starts does not, unless it is wrapped in this.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.scope.run(future)
    }

    pub(crate) fn inherited() -> Option<Scope> {
        SCOPE.try_get().ok()
    }

    pub(crate) fn scope_of_call(&self) -> Scope {
        self.scope
    }

    pub(crate) fn set_peer(&mut self, peer: Arc<Peer>) {
        self.peer = Some(peer);
    }

    pub(crate) fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = metadata;
    }

    pub(crate) fn set_shared(&mut self, shared: Arc<TypeMap>) {
        self.shared = Some(shared);
    }
}

tokio::task_local! {
    static SCOPE: Scope;
}

impl FromContext for Context {
    fn from_context(context: &Context) -> Result<&Self> {
        Ok(context)
    }
}

impl FromContext for Metadata {
    fn from_context(context: &Context) -> Result<&Self> {
        Ok(context.metadata())
    }
}

impl FromContext for Peer {
    fn from_context(context: &Context) -> Result<&Self> {
        Ok(context.peer())
    }
}

impl FromContext for Principal {
    fn from_context(context: &Context) -> Result<&Self> {
        context.principal().ok_or_else(|| Status::unauthenticated("the call has no principal"))
    }
}

/// One value for each type.
#[derive(Clone, Default)]
pub(crate) struct TypeMap(Option<Box<Values>>);

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

impl TypeMap {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.get_or_insert_default().insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.as_ref()?.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for TypeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.as_ref().map_or(0, |map| map.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_only_shrinks() {
        let mut context = Context::new(Duration::from_secs(2));
        context.shorten_deadline(Instant::now() + Duration::from_secs(9));
        assert_eq!(context.time_left(), Duration::from_secs(2));
        context.shorten_deadline(Instant::now() + Duration::from_secs(1));
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(context.time_left(), Duration::from_millis(600));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(context.time_left(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_scope_is_inherited_inside_and_not_outside() {
        let context = Context::new(Duration::from_secs(1));
        let inside = context.scope(async { Context::inherited().map(|s| s.correlation) }).await;
        assert_eq!(inside, Some(context.correlation()));
        assert!(Context::inherited().is_none());
    }
}
