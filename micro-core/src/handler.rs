//! Handlers: what a service implements, and the one place where its type is erased.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

pub use crate::call::{BoxFuture, Incoming, Outcome, Reply, Side, Target};
use crate::inject::Injector;
use crate::service::ServiceDescriptor;
use crate::status::Result;

/// What `#[service]` implements: static dispatch from a method's index to the user's function.
///
/// `C` tells several contracts of one type apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "no `#[service] impl {Self}` found",
    note = "put `#[service]` on an impl block of `{Self}` (or on `impl Contract for {Self}`)"
)]
pub trait Serve<C>: Shared + Sized {
    /// What the service is.
    const DESCRIPTOR: &'static ServiceDescriptor;

    /// Makes the service from what the app provides.
    fn build(from: &Injector) -> impl Future<Output = Result<Self>> + Send;

    /// Runs a handler: one future for each, so that a call takes no more memory than its own handler needs.
    fn dispatch(self: Arc<Self>, method: u16, call: Incoming) -> BoxFuture<'static, Outcome>;

    /// Runs a subscriber.
    fn deliver(self: Arc<Self>, subscription: u16, call: Incoming) -> BoxFuture<'static, Outcome>;
}

/// A type that many calls can use at the same time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a service: many calls use it at the same time, on several threads",
    label = "must be `Send + Sync + 'static`",
    note = "replace `Rc` by `Arc`, `Cell`/`RefCell` by an atomic or a `Mutex`"
)]
pub trait Shared: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Shared for T {}

/// A service whose type is erased.
pub trait Service: Send + Sync + 'static {
    /// What the service is.
    fn descriptor(&self) -> &'static ServiceDescriptor;
    /// Whether an error is the handler's own answer, whatever a service that the handler called said of
    /// itself: a refusal there must not let this call be repeated. Else it is passed on as it is.
    fn answers_for_itself(&self) -> bool {
        true
    }
    /// Runs the handler with this index.
    fn call(&self, method: u16, call: Incoming) -> BoxFuture<'static, Outcome>;
    /// Runs the subscriber with this index.
    fn deliver(&self, subscription: u16, call: Incoming) -> BoxFuture<'static, Outcome>;
}

/// Erases a service.
pub fn erase<T: Serve<C>, C: 'static>(service: Arc<T>) -> Arc<dyn Service> {
    Arc::new(Hosted::<T, C>(service, PhantomData))
}

struct Hosted<T, C>(Arc<T>, PhantomData<fn() -> C>);

impl<T: Serve<C>, C: 'static> Service for Hosted<T, C> {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        T::DESCRIPTOR
    }

    fn call(&self, method: u16, call: Incoming) -> BoxFuture<'static, Outcome> {
        Arc::clone(&self.0).dispatch(method, call)
    }

    fn deliver(&self, subscription: u16, call: Incoming) -> BoxFuture<'static, Outcome> {
        Arc::clone(&self.0).deliver(subscription, call)
    }
}

/// Makes a service of what an app provides, and erases it.
pub type Build = for<'a> fn(&'a Injector) -> BoxFuture<'a, Result<Arc<dyn Service>>>;

/// A service that is linked into this program; `#[service]` submits one for each.
pub struct Registration {
    /// What the service is.
    pub descriptor: &'static ServiceDescriptor,
    /// The type, to compare it with an explicit list.
    pub type_id: fn() -> std::any::TypeId,
    /// Makes and erases it.
    pub build: Build,
}

inventory::collect!(Registration);

impl Registration {
    /// The registration of a service.
    pub const fn of<T: Serve<C>, C: 'static>() -> Self {
        Self {
            descriptor: T::DESCRIPTOR,
            type_id: || std::any::TypeId::of::<T>(),
            build: |from| Box::pin(async { Ok(erase::<T, C>(Arc::new(T::build(from).await?))) }),
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registration").field(&self.descriptor.name).finish()
    }
}
