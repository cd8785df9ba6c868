//! Interceptors: what runs around calls, on either side, for unary calls, streams and events alike.

use std::fmt;
use std::sync::Arc;

use crate::call::{BoxFuture, Incoming, Outcome};

pub mod access;
mod chain;

pub use chain::{Chain, PHASES, Terminal};
pub(crate) use chain::{Static, declared, unmet};

/// Something that runs around a call. `#[interceptor]` makes one of an async function.
///
/// It sees the call before and the outcome after, may change both, answer by itself, or refuse. For a
/// stream the outcome is the end of the stream on the server's side and its opening on the client's.
pub trait Interceptor: Send + Sync + 'static {
    /// What it is; decides where it stands.
    fn descriptor(&self) -> InterceptorDescriptor;

    /// Runs around the call; `next.run(call)` goes on to the handler.
    fn intercept<'a>(&'a self, call: Incoming, next: Next<'a>) -> BoxFuture<'a, Outcome>;
}

/// An interceptor that is known at compile time; `#[interceptor]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an interceptor",
    label = "needs `#[interceptor]`",
    note = "write `#[interceptor] async fn name(call: Incoming, next: Next<'_>) -> Outcome`"
)]
pub trait Declared: Interceptor + Sized {
    /// What it is.
    const DESCRIPTOR: InterceptorDescriptor;
    /// The one value of it.
    const INSTANCE: &'static dyn Interceptor;
}

/// What an interceptor is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InterceptorDescriptor {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub phase: Phase,
    /// What it leaves in the context for later ones.
    pub provides: &'static [&'static str],
    /// What it needs from earlier ones.
    pub requires: &'static [&'static str],
}

/// The order of interceptors, whatever order they were given in. Within a phase the given order holds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// Sees everything, refusals included: logs, traces, metrics.
    Observe,
    /// Refuses early and cheaply: rate, concurrency, size.
    Limit,
    /// Finds out who calls.
    Authenticate,
    /// Decides whether they may. The handler's own access rule is checked when this phase begins.
    Authorize,
    /// Counts what they used.
    Quota,
    /// Checks what they sent.
    Validate,
    /// Everything else.
    User,
}

impl Phase {
    /// The name in attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Limit => "limit",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Quota => "quota",
            Self::Validate => "validate",
            Self::User => "user",
        }
    }
}

/// An interceptor as a service asks for it.
#[derive(Clone, Copy)]
pub struct Applied {
    /// What it is.
    pub descriptor: InterceptorDescriptor,
    /// The interceptor.
    pub interceptor: &'static dyn Interceptor,
    /// Which handlers it runs around.
    pub filter: Filter,
}

/// Which handlers an interceptor runs around.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    /// All.
    All,
    /// All but these.
    Except(&'static [&'static str]),
    /// These.
    Only(&'static [&'static str]),
}

impl Applied {
    /// An interceptor of the service that is being described.
    pub const fn of<I: Declared>(filter: Filter) -> Self {
        Self { descriptor: I::DESCRIPTOR, interceptor: I::INSTANCE, filter }
    }
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptor, interceptor: _, filter } = self;
        f.debug_struct("Applied").field("name", &descriptor.name).field("filter", filter).finish()
    }
}

impl Filter {
    /// Whether it takes this handler.
    pub fn takes(self, handler: &str) -> bool {
        match self {
            Self::All => true,
            Self::Except(names) => !names.contains(&handler),
            Self::Only(names) => names.contains(&handler),
        }
    }
}

/// The rest of the chain. `Copy`, so that an interceptor may run it again.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    links: &'a [Arc<dyn Interceptor>],
    end: &'a dyn Terminal,
}

impl<'a> Next<'a> {
    /// Goes on with the call.
    pub fn run(self, call: Incoming) -> BoxFuture<'a, Outcome> {
        match self.links.split_first() {
            Some((link, links)) => link.intercept(call, Self { links, end: self.end }),
            None => self.end.run(call),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.links.iter().map(|i| i.descriptor().name)).finish()
    }
}
