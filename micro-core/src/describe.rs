//! What a running process says about itself: its services with their schemas, and its health.

use serde::{Deserialize, Serialize};

use crate::schema::Document;
use crate::service::{Access, Kind, MethodDescriptor, ServiceDescriptor, SubscriptionDescriptor};

/// A service as it describes itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServiceDescription {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its doc comment.
    pub docs: String,
    /// Its handlers.
    pub methods: Vec<MethodDescription>,
    /// What it listens to.
    pub subscriptions: Vec<SubscriptionDescription>,
    /// The topics that it says it emits.
    pub emits: Vec<String>,
    /// The interceptors that it asks for, outermost first.
    pub interceptors: Vec<String>,
}

/// A handler as it describes itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MethodDescription {
    /// Its name.
    pub name: String,
    /// `unary`, `server stream`, `client stream` or `bidirectional`.
    pub kind: String,
    /// Whether it may run twice.
    pub idempotent: bool,
    /// Who may call it.
    pub access: String,
    /// Where HTTP reaches it, e.g. `GET /v1/hello/{name}`.
    pub http: Option<String>,
    /// Its own deadline in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Its doc comment.
    pub docs: String,
    /// The request, or one item of the request stream.
    pub request: Document,
    /// The reply, or one item of the reply stream.
    pub reply: Document,
}

/// A subscription as it describes itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SubscriptionDescription {
    /// The pattern of topics.
    pub pattern: String,
    /// The topic of the event type.
    pub topic: String,
    /// The group that shares the messages.
    pub group: String,
    /// Whether each instance gets each message.
    pub broadcast: bool,
    /// The event.
    pub event: Document,
}

/// How a process is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether it takes calls: not while it drains.
    pub serving: bool,
    /// The services that it runs.
    pub services: Vec<String>,
    /// Unary calls that run now.
    pub running: usize,
    /// Seconds since it started.
    pub uptime: u64,
    /// The version of the framework.
    pub version: String,
}

impl ServiceDescription {
    /// The description of a service.
    pub fn of(service: &ServiceDescriptor) -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            name: text(service.name),
            version: service.version,
            docs: text(service.docs.trim()),
            methods: service.methods.iter().map(MethodDescription::of).collect(),
            subscriptions: service
                .subscriptions
                .iter()
                .map(|s| SubscriptionDescription::of(s, service.name))
                .collect(),
            emits: service.emits.iter().copied().map(text).collect(),
            interceptors: service.interceptors.iter().map(|i| text(i.descriptor.name)).collect(),
        }
    }
}

impl MethodDescription {
    fn of(method: &MethodDescriptor) -> Self {
        Self {
            name: method.name.to_owned(),
            kind: method.kind.name().to_owned(),
            idempotent: method.idempotent,
            access: access(method.access),
            http: method.http.map(|http| format!("{} {}", http.verb, http.path)),
            timeout_ms: method.timeout.map(|timeout| timeout.as_millis() as u64),
            docs: method.docs.trim().to_owned(),
            request: Document::of(method.request),
            reply: Document::of(method.reply),
        }
    }

    /// The kind of call, if this version knows it.
    pub fn kind(&self) -> Option<Kind> {
        let all = [Kind::Unary, Kind::ServerStream, Kind::ClientStream, Kind::Bidi];
        all.into_iter().find(|kind| kind.name() == self.kind)
    }
}

impl SubscriptionDescription {
    fn of(subscription: &SubscriptionDescriptor, service: &str) -> Self {
        Self {
            pattern: subscription.pattern.to_owned(),
            topic: subscription.topic.to_owned(),
            group: subscription.group.unwrap_or(service).to_owned(),
            broadcast: subscription.broadcast,
            event: Document::of(subscription.event),
        }
    }
}

fn access(access: Access) -> String {
    match access {
        Access::Authenticated => "authenticated principals".into(),
        Access::Domain => "services of the domain".into(),
        Access::Public => "everybody".into(),
        Access::Roles(roles) => format!("roles {}", roles.join(", ")),
        Access::Services(services) => format!("services {}", services.join(", ")),
    }
}
