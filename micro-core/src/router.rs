//! Router: from names to the handler of a service, with the interceptors that run around it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::handler::{BoxFuture, Incoming, Outcome, Service, Target};
use crate::interceptor::{Chain, Interceptor, Terminal, access, declared, unmet};
use crate::service::{MethodDescriptor, ServiceDescriptor};
use crate::status::{Executed, Result, Status};
use crate::text;
use crate::transport::Route;

/// The services of a process. Built once and only read after.
#[derive(Default)]
pub struct Router {
    services: Vec<Hosted>,
    names: HashMap<&'static str, u16>,
}

struct Hosted {
    service: Arc<dyn Service>,
    methods: Vec<Chain>,
    subscriptions: Vec<Chain>,
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
        let methods = descriptor.methods.iter().map(|m| chain(descriptor, Some(m), m.name, shared));
        let methods = methods.collect::<Result<_>>()?;
        let subscriptions =
            descriptor.subscriptions.iter().map(|s| chain(descriptor, None, s.handler, shared));
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
        let MethodDescriptor { name, kind, idempotent, .. } = descriptor.methods[found];
        let mut target = Target::new(descriptor.name, name);
        (target.kind, target.idempotent) = (kind, idempotent);
        Ok(Route { target, service: *index, method: found as u16 })
    }

    /// The descriptor of a handler that was found.
    pub fn method(&self, route: &Route) -> &'static MethodDescriptor {
        let descriptor = self.services[usize::from(route.service)].service.descriptor();
        &descriptor.methods[usize::from(route.method)]
    }

    /// Runs a call through its interceptors to its handler.
    pub async fn call(&self, route: &Route, call: Incoming) -> Outcome {
        let hosted = &self.services[usize::from(route.service)];
        let end = Method { service: &*hosted.service, index: route.method };
        match &hosted.methods[usize::from(route.method)] {
            chain if chain.is_empty() => end.run(call).await,
            chain => chain.run(call, &end).await,
        }
    }

    /// Runs an event through its interceptors to its subscriber.
    pub async fn deliver(&self, service: usize, subscription: usize, call: Incoming) -> Outcome {
        let hosted = &self.services[service];
        let end = Subscriber { service: &*hosted.service, index: subscription as u16 };
        hosted.subscriptions[subscription].run(call, &end).await
    }
}

/// The interceptors of one handler: the app's, then the service's, then the access rule, by phase.
fn chain(
    service: &ServiceDescriptor,
    method: Option<&MethodDescriptor>,
    handler: &str,
    shared: &[Arc<dyn Interceptor>],
) -> Result<Chain> {
    // The rule comes first, so that it stands where its phase begins.
    let rule = method.and_then(|method| access::of(method.access));
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

struct Method<'a> {
    service: &'a dyn Service,
    index: u16,
}

impl Terminal for Method<'_> {
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome> {
        self.service.call(self.index, call)
    }
}

struct Subscriber<'a> {
    service: &'a dyn Service,
    index: u16,
}

impl Terminal for Subscriber<'_> {
    fn run(&self, call: Incoming) -> BoxFuture<'_, Outcome> {
        self.service.deliver(self.index, call)
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
