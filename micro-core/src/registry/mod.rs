//! Registry: where the instances of services are. A hint, never an authority: who answers at an address
//! is proved by its certificate.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::call::BoxFuture;

mod instance;
mod lease;
pub mod local;
#[cfg(feature = "mdns")]
pub mod mdns;
pub mod memory;
mod table;

pub use instance::{Instance, InstanceId, Listening};
pub use lease::Lease;
pub use local::LocalRegistry;
#[cfg(feature = "mdns")]
pub use mdns::{MdnsOptions, MdnsRegistry};
pub use memory::MemoryRegistry;
pub use table::{Table, Update, Updates};

/// Instances of one service that a registry holds; more are refused or ignored.
pub const MAX_INSTANCES_PER_SERVICE: usize = 1_000;
/// Instances that a registry holds; more are refused or ignored.
pub const MAX_INSTANCES: usize = 10_000;

/// Who runs where.
///
/// All futures may be dropped at any time: what was begun is then undone or left as it was.
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// What this backend can do. Asking it for more is an error at start, never a silent downgrade.
    fn capabilities(&self) -> Capabilities;

    /// Makes `instance` known until its lease is released or dropped. Registering an id again replaces
    /// what is known about it, and makes the earlier lease mean nothing.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for an instance over a limit, and all others.
    fn register(&self, instance: Instance) -> BoxFuture<'_, Result<Lease, RegistryError>>;

    /// The instances of `service`, by id; none is not an error.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`]: what was known before is still the best guess.
    fn lookup<'a>(
        &'a self,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Instance>, RegistryError>>;

    /// The instances of all services.
    ///
    /// # Errors
    /// Like [`Registry::lookup`].
    fn list(&self) -> BoxFuture<'_, Result<Vec<Instance>, RegistryError>>;

    /// What changes about `service`, or about all services.
    ///
    /// # Errors
    /// When the first state cannot be read. Later failures are not errors: the updates pause, and begin
    /// again with a [`Update::Reset`].
    fn watch<'a>(
        &'a self,
        service: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Updates, RegistryError>>;
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// A lookup in any process sees every registration that was complete when it began.
    pub immediate: bool,
    /// [`Registry::list`] and a watch of all services see every instance.
    pub lists: bool,
    /// [`Instance::metadata`] is kept.
    pub metadata: bool,
    /// Instances on other machines are seen.
    pub remote: bool,
    /// The longest that a record outlives a process that ended without deregistering; `None` is for ever.
    pub ttl: Option<Duration>,
}

impl Capabilities {
    /// Those of a backend that sees only this process, at once, and everything about it.
    pub const fn in_process() -> Self {
        Self {
            immediate: true,
            lists: true,
            metadata: true,
            remote: false,
            ttl: Some(Duration::ZERO),
        }
    }
}

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It holds as many instances as it may. Trying again later may help.
    #[error("the registry is full: {0}")]
    Full(String),
    /// The instance itself is not acceptable. Trying again will not help.
    #[error("{0}")]
    Invalid(String),
    /// The machine or the configuration must be changed first; the text says how.
    #[error("{what}")]
    Misconfigured {
        /// What is wrong, and the way out.
        what: String,
        /// The cause, if there is one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The backend cannot be reached, or failed. Trying again later may help.
    #[error("{what}")]
    Unavailable {
        /// What did not work.
        what: String,
        /// The cause, if there is one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl RegistryError {
    /// [`RegistryError::Misconfigured`] without a cause.
    pub fn misconfigured(what: impl Into<String>) -> Self {
        Self::Misconfigured { what: what.into(), source: None }
    }

    /// [`RegistryError::Unavailable`] because of `source`.
    pub fn unavailable(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { what: what.into(), source: Some(source.into()) }
    }
}
