//! Injection: what the app provides to a service while it is being made.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::client::{Channel, Client};
use crate::context::TypeMap;
use crate::publisher::Publisher;
use crate::status::{Result, Status};

mod sections;

pub use sections::Sections;

/// What an app provides: clients of other services, configuration, the publisher, and the values that
/// were handed to the app.
#[derive(Clone, Debug)]
pub struct Injector {
    pub(crate) client: Client,
    pub(crate) publisher: Publisher,
    pub(crate) sections: Arc<Sections>,
    pub(crate) values: Arc<TypeMap>,
}

/// A type that the app can provide.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected",
    label = "not something the app can provide",
    note = "injectable: generated clients (`GreeterClient`), `micro::Config<T>`, `micro::Publisher`, and types implementing `micro::Inject`; for anything else use an `#[init]` function and build it there"
)]
pub trait Inject: Sized {
    /// Provides a value.
    fn inject(from: &Injector) -> impl Future<Output = Result<Self>> + Send;
}

/// A type that can be made without arguments: `Default`, or `#[derive(Inject)]` on the service.
#[diagnostic::on_unimplemented(
    message = "micro cannot construct the service `{Self}`",
    label = "no way to build this service",
    note = "derive `Default`, or `#[derive(micro::Inject)]` to fill every field, or write `#[init] async fn new(..) -> Result<Self>` inside the `#[service]` impl, or write `#[service(manual)]` and hand a ready value to the app"
)]
pub trait Construct: Sized {
    /// Makes the service.
    fn construct(from: &Injector) -> impl Future<Output = Result<Self>> + Send;
}

#[diagnostic::do_not_recommend]
impl<T: Default> Construct for T {
    async fn construct(_: &Injector) -> Result<Self> {
        Ok(T::default())
    }
}

/// The section of the configuration that is named like `T` in snake case: for `Config<OrderLimits>` the
/// table `[app.order_limits]` of `micro.toml`. A missing section is `T::default()`.
#[derive(Clone, Debug, Default)]
pub struct Config<T>(pub T);

impl<T> std::ops::Deref for Config<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + Default + Send> Inject for Config<T> {
    async fn inject(from: &Injector) -> Result<Self> {
        from.sections.section::<T>().map(Config)
    }
}

impl Inject for Publisher {
    async fn inject(from: &Injector) -> Result<Self> {
        Ok(from.publisher.clone())
    }
}

impl Inject for Client {
    async fn inject(from: &Injector) -> Result<Self> {
        Ok(from.client.clone())
    }
}

impl Injector {
    /// The way to a service; it need not be there yet.
    pub fn channel(&self, service: &'static str) -> Channel {
        self.client.channel(service)
    }

    /// A value that was handed to the app.
    ///
    /// # Errors
    /// `FailedPrecondition` when none of this type was.
    pub fn value<T: Clone + Send + Sync + 'static>(&self) -> Result<T> {
        self.values.get::<T>().cloned().ok_or_else(|| {
            let name = std::any::type_name::<T>();
            Status::failed_precondition(format!(
                "the app was given no `{name}`; use `App::provide`"
            ))
        })
    }
}
