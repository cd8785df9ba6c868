//! Resolver: the instances of each service, kept up to date by a watch of the registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use tokio::time::{Duration, Instant, timeout_at};

use super::endpoint::{Endpoint, InFlight};
use super::service::{Service, Watch};
use crate::balance::{Balancer, Candidate, Candidates};
use crate::registry::{Instance, Registry};
use crate::status::{Executed, Result, Status};
use crate::sync::lock;
use crate::text;
use crate::transport::{Calling, Request, Transport};

/// A call to a service without instances waits this long for one to come, then fails fast.
const NOBODY: Duration = Duration::from_secs(1);
/// Services that are known though no channel holds them, for callers that know names only at run time.
/// At more, those without instances are forgotten, and then all.
const KNOWN: usize = 256;

/// Finds instances and chooses among them.
pub struct Resolver {
    registry: Arc<dyn Registry>,
    transports: Arc<[Arc<dyn Transport>]>,
    balancer: Box<dyn Balancer>,
    services: Mutex<HashMap<String, Arc<Service>>>,
}

impl Resolver {
    /// A resolver over these parts.
    pub fn new(
        registry: Arc<dyn Registry>,
        transports: impl IntoIterator<Item = Arc<dyn Transport>>,
        balancer: impl Balancer,
    ) -> Self {
        let (balancer, services) = (Box::new(balancer), Mutex::default());
        Self { registry, transports: transports.into_iter().collect(), balancer, services }
    }

    /// The registry behind it.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// What is known of a service; it is watched from then on.
    pub(super) fn service(&self, name: &str) -> Arc<Service> {
        let mut services = lock(&self.services);
        if let Some(service) = services.get(name) {
            return Arc::clone(service);
        }
        if services.len() >= KNOWN {
            forget(&mut services);
        }
        let watch = Watch::new(&self.registry, &self.transports);
        let service = Service::watched(name, watch);
        services.insert(name.to_owned(), Arc::clone(&service));
        service
    }

    /// Sends a call to an instance that has a connection, if one can be chosen without waiting. Allocates
    /// nothing and takes no lock.
    #[inline]
    pub(super) fn send(
        &self,
        service: &Service,
        request: &Request,
        noise: u64,
        waker: &Waker,
    ) -> Option<(Calling, InFlight)> {
        service.endpoints(|endpoints| {
            let (endpoint, is_alone) = match endpoints {
                [only] => (only, true),
                _ => (self.choose(endpoints, request.now, noise)?, false),
            };
            let connection = endpoint.open()?;
            let in_flight = endpoint.begin(request.now, is_alone, noise);
            Some((connection.call_for(request, Some(waker)), in_flight))
        })
    }

    /// Chooses an instance, none of `avoid` if there is another. Waits up to 1 s for the first to come.
    pub(super) async fn pick(
        &self,
        service: &Service,
        avoid: &[u64],
        deadline: Instant,
    ) -> Result<Arc<Endpoint>> {
        let mut changes = service.changes();
        let until = deadline.min(Instant::now() + NOBODY);
        loop {
            changes.mark_unchanged();
            let now = Instant::now();
            let chosen = service.endpoints(|endpoints| self.choose_but(endpoints, avoid, now));
            if let Some(endpoint) = chosen {
                return Ok(service.unspent(endpoint));
            }
            if !matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) {
                return Err(self.nobody(service.name()).await);
            }
        }
    }

    /// The endpoint of one instance. Waits up to 1 s for the registry to know it.
    pub(crate) async fn instance(&self, wanted: &Instance) -> Result<Arc<Endpoint>> {
        let service = self.service(&wanted.service);
        let mut changes = service.changes();
        let until = Instant::now() + NOBODY;
        loop {
            changes.mark_unchanged();
            let found = service.endpoints(|endpoints| {
                endpoints.iter().find(|e| e.instance.id == wanted.id).cloned()
            });
            if let Some(endpoint) = found {
                return Ok(service.unspent(endpoint));
            }
            if !matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) {
                let text = format!("instance {} of `{}` is gone", wanted.id, wanted.service);
                return Err(Status::unavailable(text).with_executed(Executed::No));
            }
        }
    }

    fn choose<'a>(
        &self,
        endpoints: &'a [Arc<Endpoint>],
        now: Instant,
        noise: u64,
    ) -> Option<&'a Arc<Endpoint>> {
        let index = self.balancer.pick(&Seen { endpoints, now }, noise)?;
        endpoints.get(index)
    }

    fn choose_but(
        &self,
        endpoints: &[Arc<Endpoint>],
        avoid: &[u64],
        now: Instant,
    ) -> Option<Arc<Endpoint>> {
        let is_fresh = |e: &&Arc<Endpoint>| !avoid.contains(&e.serial());
        let fresh: Vec<_> = endpoints.iter().filter(is_fresh).cloned().collect();
        match &fresh[..] {
            [] => self.choose(endpoints, now, crate::id::noise()).cloned(),
            fresh => self.choose(fresh, now, crate::id::noise()).cloned(),
        }
    }

    /// The error of a service without instances, with the nearest name that has some.
    async fn nobody(&self, service: &str) -> Status {
        let known = self.registry.list().await.unwrap_or_default();
        // It may have come at this moment.
        let others = known.iter().map(|i| i.service.as_str()).filter(|name| *name != service);
        let hint = text::did_you_mean(service, others);
        Status::unavailable(format!("no instance of `{service}` is registered{hint}"))
            .with_executed(Executed::No)
    }
}

/// Drops the services that nobody holds: first those without instances, so that names that somebody makes
/// up do not cost others their connections.
fn forget(services: &mut HashMap<String, Arc<Service>>) {
    let is_held = |service: &Arc<Service>| Arc::strong_count(service) > 1;
    services.retain(|_, service| is_held(service) || !service.is_empty());
    if services.len() >= KNOWN {
        services.retain(|_, service| is_held(service));
    }
}

/// Instances as the balancer sees them.
struct Seen<'a> {
    endpoints: &'a [Arc<Endpoint>],
    now: Instant,
}

impl Candidates for Seen<'_> {
    fn count(&self) -> usize {
        self.endpoints.len()
    }

    fn candidate(&self, index: usize) -> Candidate {
        self.endpoints[index].candidate(self.now)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("registry", &self.registry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::PowerOfTwo;
    use crate::registry::{InstanceId, MemoryRegistry};
    use crate::transport::Address;
    use crate::transport::memory::Memory;

    fn greeter() -> Instance {
        Instance {
            id: InstanceId::random(),
            service: "greeter".into(),
            version: 1,
            addresses: vec![Address::new("memory", 0)],
            metadata: Default::default(),
            subscriptions: Vec::new(),
        }
    }

    fn resolver(registry: &Arc<MemoryRegistry>) -> Resolver {
        let transport: Arc<dyn Transport> = Arc::new(Memory::default());
        Resolver::new(Arc::clone(registry) as Arc<dyn Registry>, [transport], PowerOfTwo)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_registered_is_found_at_the_first_call() {
        let registry = Arc::new(MemoryRegistry::new());
        let _lease = registry.register(greeter()).await.expect("registers");
        for round in 0..500 {
            let resolver = resolver(&registry);
            let deadline = Instant::now() + Duration::from_secs(5);
            let found = resolver.pick(&resolver.service("greeter"), &[], deadline).await;
            assert!(found.is_ok(), "round {round}: {:?}", found.err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_holds_are_forgotten_and_others_stay() {
        let registry = Arc::new(MemoryRegistry::new());
        let _lease = registry.register(greeter()).await.expect("registers");
        let resolver = resolver(&registry);
        let known = Arc::downgrade(&resolver.service("greeter"));
        let deadline = Instant::now() + Duration::from_secs(5);
        resolver.pick(&resolver.service("greeter"), &[], deadline).await.expect("found");
        let held = resolver.service("held");
        for n in 0..10 * KNOWN {
            resolver.service(&format!("made-up-{n}"));
            assert!(lock(&resolver.services).len() <= KNOWN);
        }
        assert!(known.upgrade().is_some(), "it has an instance");
        assert!(Arc::ptr_eq(&held, &resolver.service("held")));
    }
}
