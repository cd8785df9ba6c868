//! Resolver: the instances of each service, kept up to date by a watch of the registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use crate::balance::Balancer;
use crate::registry::{Instance, Registry, Update};
use crate::status::{Executed, Result, Status};
use crate::sync::{lock, read, write};
use crate::tasks;
use crate::text;
use crate::transport::Transport;

/// A call to a service without instances waits this long for one to come, then fails fast.
const NOBODY: Duration = Duration::from_secs(1);
/// Before the registry is asked again after a watch has failed.
const AGAIN: Duration = Duration::from_millis(500);

/// Finds instances and chooses among them.
pub struct Resolver {
    registry: Arc<dyn Registry>,
    transports: Arc<[Arc<dyn Transport>]>,
    balancer: Box<dyn Balancer>,
    services: Mutex<HashMap<String, Arc<Service>>>,
}

/// One service that somebody calls.
struct Service {
    endpoints: RwLock<Arc<[Arc<Endpoint>]>>,
    /// Counts changes, for those that wait for an instance.
    changes: watch::Sender<u64>,
    watching: OnceLock<tasks::Owned>,
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

    /// Chooses an instance, none of `avoid` if there is another. Waits up to 1 s for the first to come.
    pub(super) async fn pick(
        &self,
        service: &str,
        avoid: &[Arc<Endpoint>],
        deadline: Instant,
    ) -> Result<Arc<Endpoint>> {
        let found = self.service(service);
        let mut changes = found.changes.subscribe();
        let until = deadline.min(Instant::now() + NOBODY);
        loop {
            changes.mark_unchanged();
            let endpoints = Arc::clone(&read(&found.endpoints));
            if let Some(endpoint) = self.choose(&endpoints, avoid) {
                return Ok(endpoint);
            }
            if !matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) {
                return Err(self.nobody(service).await);
            }
        }
    }

    /// Whether a service has no instance, so that the next attempt would wait in vain too.
    pub(super) fn is_empty(&self, service: &str) -> bool {
        read(&self.service(service).endpoints).is_empty()
    }

    /// The endpoint of one instance. Waits up to 1 s for the registry to know it.
    pub(crate) async fn instance(&self, wanted: &Instance) -> Result<Arc<Endpoint>> {
        let found = self.service(&wanted.service);
        let mut changes = found.changes.subscribe();
        let until = Instant::now() + NOBODY;
        loop {
            changes.mark_unchanged();
            let endpoints = Arc::clone(&read(&found.endpoints));
            if let Some(endpoint) = endpoints.iter().find(|e| e.instance.id == wanted.id) {
                return Ok(Arc::clone(endpoint));
            }
            if !matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) {
                let text = format!("instance {} of `{}` is gone", wanted.id, wanted.service);
                return Err(Status::unavailable(text).with_executed(Executed::No));
            }
        }
    }

    fn choose(
        &self,
        endpoints: &[Arc<Endpoint>],
        avoid: &[Arc<Endpoint>],
    ) -> Option<Arc<Endpoint>> {
        let now = Instant::now();
        let is_avoided = |e: &&Arc<Endpoint>| avoid.iter().any(|other| Arc::ptr_eq(e, other));
        let fresh: Vec<_> = endpoints.iter().filter(|e| !is_avoided(e)).collect();
        let eligible = if fresh.is_empty() { endpoints.iter().collect() } else { fresh };
        let candidates: Vec<_> = eligible.iter().map(|e| e.candidate(now)).collect();
        let index = self.balancer.pick(&candidates, crate::id::noise())?;
        eligible.get(index).map(|endpoint| Arc::clone(endpoint))
    }

    fn service(&self, name: &str) -> Arc<Service> {
        let mut services = lock(&self.services);
        if let Some(service) = services.get(name) {
            return Arc::clone(service);
        }
        let service = Arc::new(Service {
            endpoints: RwLock::new(Arc::from([])),
            changes: watch::Sender::new(0),
            watching: OnceLock::new(),
        });
        let watch = Watch {
            registry: Arc::clone(&self.registry),
            transports: Arc::clone(&self.transports),
            name: name.to_owned(),
            service: Arc::downgrade(&service),
        };
        // Set once, here. Spawned while the service was being made, the watch could find it not there yet
        // on another thread, and end.
        let _ = service.watching.set(tasks::Owned::spawn(watch.run()));
        services.insert(name.to_owned(), Arc::clone(&service));
        service
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

/// Follows the registry's idea of one service.
struct Watch {
    registry: Arc<dyn Registry>,
    transports: Arc<[Arc<dyn Transport>]>,
    name: String,
    service: std::sync::Weak<Service>,
}

impl Watch {
    async fn run(self) {
        loop {
            match self.registry.watch(Some(&self.name)).await {
                Ok(mut updates) => {
                    while let Some(update) = updates.next().await {
                        let Some(service) = self.service.upgrade() else { return };
                        self.apply(&service, update);
                    }
                }
                Err(error) => {
                    tracing::warn!(service = %self.name, %error, "cannot watch the registry")
                }
            }
            // What was found last stays in use meanwhile.
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn apply(&self, service: &Service, update: Update) {
        let old = Arc::clone(&read(&service.endpoints));
        let new: Vec<Arc<Endpoint>> = match update {
            Update::Reset(instances) => {
                instances.into_iter().filter_map(|instance| self.endpoint(&old, instance)).collect()
            }
            Update::Add(instance) => {
                let others = old.iter().filter(|e| e.instance.id != instance.id).cloned();
                others.chain(self.endpoint(&old, instance.clone())).collect()
            }
            Update::Remove(id) => old.iter().filter(|e| e.instance.id != id).cloned().collect(),
        };
        for endpoint in old.iter().filter(|e| !new.iter().any(|n| Arc::ptr_eq(e, n))) {
            endpoint.retire();
        }
        *write(&service.endpoints) = new.into();
        service.changes.send_modify(|count| *count += 1);
    }

    /// The endpoint of an instance: the one that there was if nothing about it has changed.
    fn endpoint(&self, old: &[Arc<Endpoint>], instance: Instance) -> Option<Arc<Endpoint>> {
        if let Some(same) = old.iter().find(|e| e.instance == instance) {
            return Some(Arc::clone(same));
        }
        let found = instance.addresses.iter().find_map(|address| {
            let transport = self.transports.iter().find(|t| t.scheme() == address.scheme())?;
            Some((Arc::clone(transport), address.clone()))
        });
        let Some((transport, address)) = found else {
            tracing::warn!(service = %self.name, id = %instance.id, "an instance has no address that we can reach");
            return None;
        };
        Some(Arc::new(Endpoint::new(instance, self.name.clone(), transport, address)))
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_registered_is_found_at_the_first_call() {
        let registry = Arc::new(MemoryRegistry::new());
        let instance = Instance {
            id: InstanceId::random(),
            service: "greeter".into(),
            version: 1,
            addresses: vec![Address::new("memory", 0)],
            metadata: Default::default(),
            subscriptions: Vec::new(),
        };
        let _lease = registry.register(instance).await.expect("registers");
        for round in 0..500 {
            let transport: Arc<dyn Transport> = Arc::new(Memory::default());
            let resolver = Resolver::new(registry.clone(), [transport], PowerOfTwo);
            let deadline = Instant::now() + Duration::from_secs(5);
            let found = resolver.pick("greeter", &[], deadline).await;
            assert!(found.is_ok(), "round {round}: {:?}", found.err());
        }
    }
}
