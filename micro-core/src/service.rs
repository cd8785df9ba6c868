//! What a service is, as constant data that the macros write and everything else reads.

use std::time::Duration;

pub use crate::call::Kind;
use crate::interceptor::Applied;
use crate::schema::Type;

/// A service: its name, its handlers, what it listens to and what it emits.
#[derive(Clone, Copy, Debug)]
pub struct ServiceDescriptor {
    /// The name under which it is called, e.g. `orders`.
    pub name: &'static str,
    /// Its version; two versions are two services to a caller.
    pub version: u32,
    /// The Rust type that serves it.
    pub type_name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// Its handlers, in the order of the source.
    pub methods: &'static [MethodDescriptor],
    /// Its subscriptions, in the order of the source.
    pub subscriptions: &'static [SubscriptionDescriptor],
    /// The topics that it says it emits.
    pub emits: &'static [&'static str],
    /// The interceptors that it says it needs, outermost first.
    pub interceptors: &'static [Applied],
    /// Where it is written.
    pub location: Location,
}

/// One handler.
#[derive(Clone, Copy, Debug)]
pub struct MethodDescriptor {
    /// Its name on the wire.
    pub name: &'static str,
    /// Which sides stream.
    pub kind: Kind,
    /// Whether running it twice does the same as running it once.
    pub idempotent: bool,
    /// Who may call it.
    pub access: Access,
    /// Where HTTP reaches it.
    pub http: Option<HttpBinding>,
    /// Its own deadline, where it is not the caller's or the default.
    pub timeout: Option<Duration>,
    /// Its doc comment.
    pub docs: &'static str,
    /// The request, or one item of the request stream.
    pub request: &'static Type,
    /// The reply, or one item of the reply stream.
    pub reply: &'static Type,
    /// Where it is written.
    pub location: Location,
}

/// One subscription.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionDescriptor {
    /// The method that handles the event.
    pub handler: &'static str,
    /// The pattern of topics.
    pub pattern: &'static str,
    /// The topic of the event type that the method takes: only it is delivered.
    pub topic: &'static str,
    /// The group that shares the messages; the service's name unless given.
    pub group: Option<&'static str>,
    /// Whether each instance gets each message.
    pub broadcast: bool,
    /// The event.
    pub event: &'static Type,
    /// Where it is written.
    pub location: Location,
}

/// Who may call a handler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Any authenticated service of the trust domain.
    Domain,
    /// Anybody who reaches it.
    Public,
    /// Any authenticated principal.
    Authenticated,
    /// A principal with one of these roles.
    Roles(&'static [&'static str]),
    /// These services only.
    Services(&'static [&'static str]),
}

/// Where HTTP reaches a handler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HttpBinding {
    /// `GET`, `POST`, ..
    pub verb: &'static str,
    /// The path, with `{field}` for parameters.
    pub path: &'static str,
}

/// Where an item is written, for messages to people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Location {
    /// The crate.
    pub krate: &'static str,
    /// The file.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

impl ServiceDescriptor {
    /// The index of a handler.
    pub fn method(&self, name: &str) -> Option<usize> {
        self.methods.iter().position(|m| m.name == name)
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
