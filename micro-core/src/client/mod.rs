//! Clients: the way from a typed call to an instance that answers it.
//!
//! `call` is the story of one call; the other files are its steps in order.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::call::Kind;
use crate::call::{BoxFuture, Incoming, Outcome, Reply};
use crate::interceptor::{Chain, Terminal};
use crate::status::{Result, Status};
use crate::stream::{self, ItemSink, Items, Outbound};
use crate::transport::late;

mod attempt;
mod budget;
mod call;
mod endpoint;
mod resolver;
mod route;
mod service;

pub use attempt::Repeat;
pub use call::{Awaited, Call, Pending, StreamCall};
pub use resolver::Resolver;
pub use route::{Encoder, Idempotent, Once, RepeatSafe, Repeatability, Route};

/// Sends calls to services. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    resolver: Resolver,
    chain: Chain,
    timeouts: Timeouts,
    budget: budget::Budget,
}

/// How long calls may take when they do not say.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A unary call; 5 s.
    pub unary: Duration,
    /// A streaming call from its opening to its end; 1 h.
    pub stream: Duration,
    /// The longest that any call may ask for; 1 h.
    pub longest: Duration,
}

/// The way to one service. What generated clients are made of.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(crate) client: Client,
    pub(crate) service: Cow<'static, str>,
    /// What is known of the service, from the first call on.
    found: OnceLock<Arc<service::Service>>,
}

/// A generated client.
pub trait ServiceClient: From<Channel> {
    /// The service that it calls.
    const SERVICE: &'static str;
}

impl Client {
    /// A client that finds instances by `resolver` and runs `chain` around every call.
    pub fn new(resolver: Resolver, chain: Chain, timeouts: Timeouts) -> Self {
        let budget = budget::Budget::default();
        Self(Arc::new(Inner { resolver, chain, timeouts, budget }))
    }

    /// The way to a service; it need not be there yet.
    pub fn channel(&self, service: impl Into<Cow<'static, str>>) -> Channel {
        Channel { client: self.clone(), service: service.into(), found: OnceLock::new() }
    }

    /// A typed client.
    pub fn service<C: ServiceClient>(&self) -> C {
        C::from(self.channel(C::SERVICE))
    }

    /// The addresses of instances.
    pub fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    /// Runs a unary call through the interceptors to an instance; never longer than its deadline.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call on the other side.
    pub async fn call(&self, call: Incoming, repeat: Repeat) -> Outcome {
        if self.0.chain.is_empty() {
            return self.0.send(call, repeat).await;
        }
        let deadline = call.context.deadline();
        let target = call.target.clone();
        let correlation = call.context.correlation();
        let end = Unary { inner: &self.0, repeat };
        match tokio::time::timeout_at(deadline, self.0.chain.run(call, &end)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(&target)),
        }
        .map_err(|status| status.with_correlation(correlation))
    }

    /// Opens a streaming call; its items end with an error at its deadline.
    pub async fn open(&self, call: Incoming) -> Result<(Items, Option<ItemSink>)> {
        let (deadline, correlation) = (call.context.deadline(), call.context.correlation());
        let target = call.target.clone();
        let (sink, outbound) = match target.kind.has_inbound() {
            true => Some(stream::items()).unzip(),
            false => (None, None),
        };
        let end = Streams { inner: &self.0, outbound: Mutex::new(outbound) };
        let opened = match tokio::time::timeout_at(deadline, self.0.chain.run(call, &end)).await {
            Ok(Ok(Reply { items: Some(items), .. })) => Ok(items),
            Ok(Ok(_)) => {
                let text = format!("an interceptor answered the stream {target} by itself");
                Err(Status::internal(text))
            }
            Ok(Err(status)) => Err(status),
            Err(_) => Err(late(&target)),
        };
        let items = opened.map_err(|status| status.with_correlation(correlation))?;
        let late = move || late(&target).with_correlation(correlation);
        Ok((items.until(deadline, late), sink))
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.0.timeouts
    }
}

impl Inner {
    async fn send(&self, call: Incoming, repeat: Repeat) -> Outcome {
        let service = self.resolver.service(&call.target.service);
        let repeat = (repeat != Repeat::default()).then(|| Box::new(repeat));
        attempt::Unary::new(self, &service, attempt::request(call), repeat).await
    }
}

impl Channel {
    fn found(&self) -> &service::Service {
        self.found.get_or_init(|| self.client.0.resolver.service(&self.service))
    }
}

impl Timeouts {
    /// The default of this kind of call.
    pub fn of(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Unary => self.unary,
            Kind::Bidi | Kind::ClientStream | Kind::ServerStream => self.stream,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { unary: Duration::from_secs(5), stream: hour, longest: hour }
    }
}

/// The network at the end of the chain, for unary calls.
struct Unary<'a> {
    inner: &'a Inner,
    repeat: Repeat,
}

impl Terminal for Unary<'_> {
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome> {
        Box::pin(self.inner.send(call, self.repeat))
    }
}

/// The network at the end of the chain, for streams.
struct Streams<'a> {
    inner: &'a Inner,
    // An interceptor may run the rest of the chain twice; only the first run has the caller's items.
    outbound: Mutex<Option<Outbound>>,
}

impl Terminal for Streams<'_> {
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome> {
        let outbound = crate::sync::lock(&self.outbound).take();
        Box::pin(async move {
            if call.target.kind.has_inbound() && outbound.is_none() {
                return Err(Status::failed_precondition("a stream of items cannot be sent twice"));
            }
            let items = attempt::stream(self.inner, call, outbound).await?;
            Ok(Reply { items: Some(items), ..Reply::default() })
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("resolver", &self.0.resolver).finish_non_exhaustive()
    }
}
