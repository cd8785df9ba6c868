//! The framework's own service, `_micro`, which every process serves: what it is, how it is, and the door
//! for the messages of the embedded broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::time::Instant;

use crate::broker::direct::DirectBroker;
use crate::codec;
use crate::describe::{Health, ServiceDescription};
use crate::handler::{BoxFuture, Incoming, Outcome, Reply, Service};
use crate::schema::ANY;
use crate::service::{Access, Kind, Location, MethodDescriptor, ServiceDescriptor};
use crate::status::Status;

/// Its name. Users' names begin with a letter or digit, so it cannot be taken.
pub const NAME: &str = "_micro";
/// `() -> Vec<ServiceDescription>`
pub const DESCRIBE: &str = "describe";
/// `() -> Health`
pub const HEALTH: &str = "health";
/// A stream both ways: messages for the groups of this process, and what became of them.
pub const EVENTS: &str = "events";

const METHODS: &[MethodDescriptor] = &[
    method(DESCRIBE, Kind::Unary, true),
    method(HEALTH, Kind::Unary, true),
    method(EVENTS, Kind::Bidi, false),
];

static DESCRIPTOR: ServiceDescriptor = ServiceDescriptor {
    name: NAME,
    version: 1,
    type_name: "Builtin",
    docs: "What every process says about itself.",
    methods: METHODS,
    subscriptions: &[],
    emits: &[],
    interceptors: &[],
    location: HERE,
};

const HERE: Location = Location { krate: "micro-core", file: file!(), line: line!() };

const fn method(name: &'static str, kind: Kind, idempotent: bool) -> MethodDescriptor {
    MethodDescriptor {
        name,
        kind,
        idempotent,
        access: Access::Domain,
        http: None,
        timeout: None,
        docs: "",
        request: ANY,
        reply: ANY,
        location: HERE,
    }
}

/// The service itself.
pub(super) struct Builtin {
    pub(super) services: Vec<&'static ServiceDescriptor>,
    pub(super) state: Arc<State>,
    pub(super) direct: Option<DirectBroker>,
}

/// What changes while a process runs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) draining: AtomicBool,
    pub(super) started: Instant,
    pub(super) running: std::sync::OnceLock<crate::server::Server>,
}

impl Service for Builtin {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &DESCRIPTOR
    }

    fn answers_for_itself(&self) -> bool {
        // Whether a message was taken is what the broker says.
        false
    }

    fn call(&self, method: u16, call: Incoming) -> BoxFuture<'static, Outcome> {
        let encoding = call.encoding;
        let reply = match METHODS[usize::from(method)].name {
            DESCRIBE => codec::encode(encoding, &self.describe()),
            HEALTH => codec::encode(encoding, &self.health()),
            _ => return Box::pin(events(self.direct.clone(), call)),
        };
        Box::pin(async move { reply.map(Reply::new) })
    }

    fn deliver(&self, _: u16, _: Incoming) -> BoxFuture<'static, Outcome> {
        Box::pin(async { Err(Status::unimplemented("this service subscribes to nothing")) })
    }
}

impl Builtin {
    fn describe(&self) -> Vec<ServiceDescription> {
        self.services.iter().map(|service| ServiceDescription::of(service)).collect()
    }

    fn health(&self) -> Health {
        let State { draining, started, running } = &*self.state;
        Health {
            serving: !draining.load(Ordering::Relaxed),
            services: self.services.iter().map(|service| service.name.to_owned()).collect(),
            running: running.get().map_or(0, crate::server::Server::running),
            uptime: started.elapsed().as_secs(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

async fn events(direct: Option<DirectBroker>, mut call: Incoming) -> Outcome {
    let (Some(items), Some(sink)) = (call.inbound.take(), call.outbound.take()) else {
        return Err(Status::internal("a stream without its ends"));
    };
    let Some(broker) = direct else {
        return Err(Status::unimplemented("this process has no broker of its own"));
    };
    broker.serve(items, sink).await.map(|()| Reply::new(Bytes::new()))
}
