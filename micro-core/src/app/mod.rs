//! The app: services, backends and configuration put together, run, and stopped in order.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::broker::Broker;
use crate::config::{Layers, Loaded, Settings};
use crate::context::TypeMap;
use crate::handler::{Registration, Serve, Service, erase};
use crate::interceptor::{Declared, Interceptor, Static};
use crate::registry::Registry;
use crate::status::Result;
use crate::transport::Transport;

mod ask;
pub mod builtin;
mod courier;
pub(crate) mod main;
mod running;
mod start;
mod subscriptions;

pub use ask::{describe, health};
pub use running::Running;

/// What a process is made of. [`App::start`] makes it live.
///
/// ```no_run
/// # async fn example() -> micro_core::Result<()> {
/// micro_core::App::linked().run().await
/// # }
/// ```
#[derive(Default)]
#[must_use = "an app does nothing until it is started"]
pub struct App {
    services: Services,
    ready: Vec<Arc<dyn Service>>,
    interceptors: Vec<Arc<dyn Interceptor>>,
    calls: Vec<Arc<dyn Interceptor>>,
    values: TypeMap,
    settings: Option<Settings>,
    registry: Option<Arc<dyn Registry>>,
    broker: Option<Arc<dyn Broker>>,
    transport: Option<Arc<dyn Transport>>,
    reachable: bool,
}

/// Which services are made by the app.
#[derive(Default)]
enum Services {
    /// Those that `main` lists, or all that are linked.
    Linked,
    /// These.
    #[default]
    None,
}

impl App {
    /// An app without services: a client, until some are added.
    pub fn new() -> Self {
        Self::default()
    }

    /// An app with the services that `#[micro::main(services(..))]` lists, or all that are linked.
    pub fn linked() -> Self {
        Self { services: Services::Linked, ..Self::default() }
    }

    /// An app that opens no socket and finds nothing outside of itself: for tests.
    pub fn in_memory() -> Self {
        Self { settings: Some(Settings::in_memory()), ..Self::default() }
    }

    /// Serves a ready value.
    pub fn service<C: 'static, T: Serve<C>>(self, service: T) -> Self {
        self.erased(erase::<T, C>(Arc::new(service)))
    }

    /// Serves a service whose type is erased already.
    pub fn erased(mut self, service: Arc<dyn Service>) -> Self {
        self.ready.push(service);
        self
    }

    /// Hands a value to services that ask for it with [`crate::Injector::value`].
    pub fn provide<T: Any + Clone + Send + Sync>(mut self, value: T) -> Self {
        self.values.insert(value);
        self
    }

    /// Runs an interceptor around every call that arrives and every event.
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Like [`App::intercept`], for one that `#[interceptor]` made: `app.intercept_with::<audit>()`.
    pub fn intercept_with<I: Declared>(self) -> Self {
        self.intercept(Static(I::INSTANCE))
    }

    /// Runs an interceptor around every call that leaves.
    pub fn intercept_calls(mut self, interceptor: impl Interceptor) -> Self {
        self.calls.push(Arc::new(interceptor));
        self
    }

    /// Like [`App::intercept_calls`], for one that `#[interceptor]` made.
    pub fn intercept_calls_with<I: Declared>(self) -> Self {
        self.intercept_calls(Static(I::INSTANCE))
    }

    /// Uses these settings and looks neither at a file nor the environment nor flags.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Uses this registry whatever the settings say.
    pub fn registry(mut self, registry: Arc<dyn Registry>) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Uses this broker whatever the settings say.
    pub fn broker(mut self, broker: Arc<dyn Broker>) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Uses this transport whatever the settings say.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Listens and registers even without a service: for a process that only subscribes.
    pub fn reachable(mut self) -> Self {
        self.reachable = true;
        self
    }

    /// Makes the services, begins to serve, and registers. Everything that is wrong is found before a
    /// socket is opened.
    ///
    /// # Errors
    /// What is wrong with the configuration, the services or the backends.
    pub async fn start(self) -> Result<Running> {
        start::start(self).await
    }

    /// Starts, prints what is served and where, and runs until the process is told to stop (SIGTERM,
    /// Ctrl-C); then drains.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn run(self) -> Result<()> {
        // From the beginning: a signal that comes before anybody waits for it would kill the process.
        let mut signals = running::Signals::new();
        let running = tokio::select! {
            running = self.start() => running?,
            () = signals.next() => return Ok(()),
        };
        eprint!("{running}");
        running.stopped_by(&mut signals).await;
        Ok(())
    }
}

/// Runs every linked service until the process is told to stop: what most `main`s are.
///
/// # Errors
/// As [`App::start`].
pub async fn run() -> Result<()> {
    App::linked().run().await
}

/// Starts every linked service and returns, for a `main` that goes on to do something itself.
///
/// # Errors
/// As [`App::start`].
pub async fn start() -> Result<Running> {
    App::linked().start().await
}

/// Connects to others without serving anything.
///
/// # Errors
/// As [`App::start`].
pub async fn connect() -> Result<Running> {
    App::new().start().await
}

/// The settings in force: those of `#[micro::main]`, or loaded now from file, environment and flags.
pub(crate) fn loaded() -> Result<Loaded> {
    if let Some(loaded) = main::loaded() {
        return Ok(loaded);
    }
    match Layers::of_process().load()? {
        crate::config::Asked::Run(loaded) => Ok(*loaded),
        crate::config::Asked::Print(text) => Err(crate::status::Status::invalid_argument(text)),
    }
}

/// The registrations of an app: those of `main`, or all that are linked, by name.
fn registrations() -> Vec<Registration> {
    let mut found = main::listed().unwrap_or_else(|| {
        let copy = |r: &Registration| Registration { ..*r };
        inventory::iter::<Registration>().map(copy).collect()
    });
    found.sort_by_key(|registration| registration.descriptor.name);
    found
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}
