//! Router: from names to the handler of a service, with the interceptors that run around it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::handler::{BoxFuture, Incoming, Outcome, Service, Target};
use crate::interceptor::{Chain, Interceptor, Terminal, access, declared, unmet};
use crate::schema::Contract;
use crate::service::{Access, MethodDescriptor, ServiceDescriptor};
use crate::stats::Tally;
use crate::status::{Executed, Result, Status};
use crate::text;
use crate::transport::{Route, too_late};

/// The services of a process. Built once and only read after.
#[derive(Default)]
pub struct Router {
    services: Vec<Hosted>,
    names: HashMap<&'static str, u16>,
}

struct Hosted {
    service: Arc<dyn Service>,
    methods: Vec<Arc<Method>>,
    subscriptions: Vec<Arc<Subscriber>>,
}

impl Router {
    /// Adds a service; `shared` interceptors run around every handler besides its own.
    ///
    /// # Errors
    /// `FailedPrecondition` when the name is taken or an interceptor misses what it requires.
    pub fn add(
        &mut self,
        service: Arc<dyn Service>,
        shared: &[Arc<dyn Interceptor>],
    ) -> Result<()> {
        let descriptor = service.descriptor();
        if let Some(other) = self.names.get(descriptor.name) {
            let other = self.services[usize::from(*other)].service.descriptor();
            return Err(Status::failed_precondition(format!(
                "two services are named `{}`: `{}` ({}) and `{}` ({})\n  help: rename one with \
                 `#[service(name = \"..\")]`",
                descriptor.name,
                other.type_name,
                other.location,
                descriptor.type_name,
                descriptor.location
            )));
        }
        let methods = (0..).zip(descriptor.methods).map(|(index, method)| {
            Method::new(Arc::clone(&service), index, method, shared).map(Arc::new)
        });
        let methods = methods.collect::<Result<_>>()?;
        let subscriptions = (0..).zip(descriptor.subscriptions).map(|(index, subscription)| {
            let chain = chain(descriptor, subscription.handler, shared, None)?;
            Ok(Arc::new(Subscriber { service: Arc::clone(&service), index, chain }))
        });
        let subscriptions = subscriptions.collect::<Result<_>>()?;
        self.names.insert(descriptor.name, self.services.len() as u16);
        self.services.push(Hosted { service, methods, subscriptions });
        Ok(())
    }

    /// What is served, in the order in which it was added.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.services.iter().map(|hosted| hosted.service.descriptor())
    }

    /// Finds a handler.
    ///
    /// # Errors
    /// `Unimplemented`, with the nearest name.
    pub fn resolve(&self, service: &str, method: &str) -> Result<Route> {
        let Some(index) = self.names.get(service) else {
            // What a peer may see are names that it could call, none of the framework's own.
            let names = self.names.keys().copied().filter(|name| !name.starts_with('_'));
            let hint = text::did_you_mean(service, names);
            return Err(missing(format!("no service `{}` here{hint}", shown(service))));
        };
        let descriptor = self.services[usize::from(*index)].service.descriptor();
        let Some(found) = descriptor.method(method) else {
            let names = descriptor.methods.iter().map(|m| m.name);
            let hint = text::did_you_mean(method, names);
            let method = shown(method);
            return Err(missing(format!("service `{service}` has no handler `{method}`{hint}")));
        };
        let MethodDescriptor { name, kind, idempotent, request, reply, .. } =
            descriptor.methods[found];
        let mut target = Target::new(descriptor.name, name);
        (target.kind, target.idempotent) = (kind, idempotent);
        target.contract = Some(Contract { request, reply });
        Ok(Route { target, service: *index, method: found as u16 })
    }

    /// A handler that was found.
    pub(crate) fn method(&self, route: &Route) -> &Arc<Method> {
        &self.services[usize::from(route.service)].methods[usize::from(route.method)]
    }

    /// All handlers.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.services.iter().flat_map(|hosted| &hosted.methods).map(|method| &**method)
    }

    /// Runs an event through the interceptors to its subscriber.
    pub(crate) fn deliver(
        &self,
        service: usize,
        subscription: usize,
        call: Incoming,
    ) -> BoxFuture<'static, Outcome> {
        let end = Arc::clone(&self.services[service].subscriptions[subscription]);
        if end.chain.is_empty() {
            return end.service.deliver(end.index, call);
        }
        Box::pin(async move { end.chain.run(call, &*end).await })
    }
}

/// The interceptors of one handler: the app's, then the service's, by phase.
fn chain(
    service: &ServiceDescriptor,
    handler: &str,
    shared: &[Arc<dyn Interceptor>],
    rule: Option<Arc<dyn Interceptor>>,
) -> Result<Chain> {
    // The rule comes first, so that it stands where its phase begins.
    let own = service.interceptors.iter().filter(|applied| applied.filter.takes(handler));
    let chain = Chain::new(rule.into_iter().chain(shared.iter().cloned()).chain(own.map(declared)));
    let descriptors: Vec<_> = chain.descriptors().collect();
    match unmet(&descriptors) {
        None => Ok(chain),
        Some((name, need)) => Err(Status::failed_precondition(format!(
            "interceptor `{name}` of `{}.{handler}` needs `{need}`, which no earlier interceptor provides",
            service.name
        ))),
    }
}

/// A handler, and what stands before it.
pub(crate) struct Method {
    pub(crate) descriptor: &'static MethodDescriptor,
    pub(crate) service: &'static str,
    pub(crate) tally: Tally,
    handlers: Arc<dyn Service>,
    index: u16,
    /// Who may call, where nothing has to run before that is known.
    rule: Access,
    chain: Chain,
}

impl Method {
    fn new(
        handlers: Arc<dyn Service>,
        index: u16,
        descriptor: &'static MethodDescriptor,
        shared: &[Arc<dyn Interceptor>],
    ) -> Result<Self> {
        let service = handlers.descriptor();
        let mut rule = descriptor.access;
        let mut chain = chain(service, descriptor.name, shared, access::of(rule))?;
        if chain.descriptors().next().is_some_and(|first| first.name == access::NAME) {
            // Nothing stands before the rule: it is checked without a link of its own.
            chain = self::chain(service, descriptor.name, shared, None)?;
        } else {
            rule = Access::Domain;
        }
        let (service, tally) = (service.name, Tally::default());
        Ok(Self { descriptor, service, tally, handlers, index, rule, chain })
    }

    /// Begins to run a call through its interceptors to its handler.
    ///
    /// # Errors
    /// When the caller may not call.
    pub(crate) fn run(self: &Arc<Self>, call: Incoming) -> Result<BoxFuture<'static, Outcome>> {
        access::check(self.rule, &call.context).map_err(|s| s.with_executed(Executed::No))?;
        if self.chain.is_empty() {
            return Ok(self.handlers.call(self.index, call));
        }
        let this = Arc::clone(self);
        Ok(Box::pin(async move { this.chain.run(call, &*this).await }))
    }

    /// The outcome of [`Method::run`] as it is meant.
    pub(crate) fn outcome(&self, outcome: Outcome) -> Outcome {
        // With interceptors it has been looked at between them and the handler.
        if self.chain.is_empty() { self.answer(outcome) } else { outcome }
    }

    fn answer(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Err(s) if self.handlers.answers_for_itself() => Err(s.with_executed(Executed::Yes)),
            outcome => outcome,
        }
    }
}

impl Terminal for Method {
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome> {
        let scope = call.context.scope_of_call();
        let run = self.handlers.call(self.index, call);
        Box::pin(async move {
            match scope.narrow(run).await {
                Some(outcome) => self.answer(outcome),
                None => Err(too_late(scope.correlation)),
            }
        })
    }
}

struct Subscriber {
    service: Arc<dyn Service>,
    index: u16,
    chain: Chain,
}

impl Terminal for Subscriber {
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome> {
        let scope = call.context.scope_of_call();
        let run = self.service.deliver(self.index, call);
        Box::pin(async move {
            scope.narrow(run).await.unwrap_or_else(|| Err(too_late(scope.correlation)))
        })
    }
}

fn missing(text: String) -> Status {
    Status::unimplemented(text).with_executed(Executed::No)
}

/// A name from a peer, bounded and without control characters.
fn shown(name: &str) -> String {
    name.escape_debug().take(128).collect()
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.descriptors().map(|d| d.name)).finish()
    }
}
