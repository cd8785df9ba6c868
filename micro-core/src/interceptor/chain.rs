//! The chain: interceptors in the order of their phases, and what stands at its end.

use std::fmt;
use std::sync::Arc;

use super::{Applied, Interceptor, InterceptorDescriptor, Next, Phase};
use crate::call::{BoxFuture, Incoming, Outcome};

/// Interceptors in the order in which they run, outermost first.
#[derive(Clone, Default)]
pub struct Chain(Arc<[Arc<dyn Interceptor>]>);

/// What stands at the end of a chain: the handler, or the network.
pub trait Terminal: Send + Sync {
    /// Runs the call.
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome>;
}

impl Chain {
    /// Sorts by phase; within a phase the given order holds.
    pub fn new(links: impl IntoIterator<Item = Arc<dyn Interceptor>>) -> Self {
        let mut links: Vec<_> = links.into_iter().collect();
        links.sort_by_key(|link| link.descriptor().phase);
        Self(links.into())
    }

    /// Runs the call through all of them.
    pub fn run<'a>(&'a self, call: Incoming, end: &'a dyn Terminal) -> BoxFuture<'a, Outcome> {
        Next { links: &self.0, end }.run(call)
    }

    /// Whether nothing runs around the call.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What runs, outermost first.
    pub fn descriptors(&self) -> impl Iterator<Item = InterceptorDescriptor> {
        self.0.iter().map(|link| link.descriptor())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.descriptors().map(|d| d.name)).finish()
    }
}

/// A declared interceptor as a link.
pub(crate) fn declared(applied: &Applied) -> Arc<dyn Interceptor> {
    Arc::new(Static(applied.interceptor))
}

/// A declared interceptor as a value.
pub(crate) struct Static(pub(crate) &'static dyn Interceptor);

impl Interceptor for Static {
    fn descriptor(&self) -> InterceptorDescriptor {
        self.0.descriptor()
    }

    fn intercept<'a>(&'a self, call: Incoming, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        self.0.intercept(call, next)
    }
}

/// The first requirement that no earlier interceptor provides: who needs it, and what.
pub(crate) fn unmet(links: &[InterceptorDescriptor]) -> Option<(&'static str, &'static str)> {
    let mut sorted = links.to_vec();
    sorted.sort_by_key(|link| link.phase);
    sorted.iter().enumerate().find_map(|(i, link)| {
        let provided = |need: &&str| sorted[..i].iter().any(|e| e.provides.contains(need));
        let need = link.requires.iter().find(|need| !provided(need))?;
        Some((link.name, *need))
    })
}

/// The phases in order, for messages.
pub const PHASES: [Phase; 7] = [
    Phase::Observe,
    Phase::Limit,
    Phase::Authenticate,
    Phase::Authorize,
    Phase::Quota,
    Phase::Validate,
    Phase::User,
];
