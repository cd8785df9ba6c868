//! A service that somebody calls: its instances as the registry tells, kept where every thread finds them
//! without a lock.

use std::array;
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::endpoint::Endpoint;
use crate::registry::{Instance, Registry, Update};
use crate::sync::{read, write};
use crate::tasks;
use crate::transport::Transport;

/// Before the registry is asked again after a watch has failed.
const AGAIN: Duration = Duration::from_millis(500);
/// Services whose instances a thread keeps at hand; two that share a place take turns.
const AT_HAND: usize = 8;

/// One service.
pub(crate) struct Service {
    name: String,
    /// Tells services apart, of all clients.
    serial: u64,
    /// Counts what was written to `endpoints`.
    version: AtomicU64,
    endpoints: RwLock<Endpoints>,
    /// Counts changes, for those that wait for an instance.
    changes: watch::Sender<u64>,
    watching: OnceLock<tasks::Owned>,
}

type Endpoints = Arc<[Arc<Endpoint>]>;

/// The instances that a service had when this thread called it last.
struct Snapshot {
    serial: u64,
    version: u64,
    endpoints: Endpoints,
}

thread_local! {
    static SNAPSHOTS: RefCell<[Option<Snapshot>; AT_HAND]> = RefCell::new(array::from_fn(|_| None));
}

impl Service {
    /// A service that follows the registry.
    pub(super) fn watched(name: &str, watch: Watch) -> Arc<Self> {
        let service = Arc::new(Self {
            name: name.to_owned(),
            serial: crate::id::count(),
            version: AtomicU64::new(0),
            endpoints: RwLock::new(Arc::from([])),
            changes: watch::Sender::new(0),
            watching: OnceLock::new(),
        });
        // Set once, here. Spawned while the service was being made, the watch could find it not there yet
        // on another thread, and end.
        let watching = tasks::Owned::spawn(watch.run(Arc::downgrade(&service), name.to_owned()));
        let _ = service.watching.set(watching);
        service
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Looks at the instances that there are now. Takes a lock only when they have changed since this
    /// thread looked last.
    #[inline]
    pub(super) fn endpoints<R>(&self, look: impl FnOnce(&[Arc<Endpoint>]) -> R) -> R {
        let place = self.serial as usize % AT_HAND;
        SNAPSHOTS.with(|snapshots| {
            if let Ok(snapshots) = snapshots.try_borrow()
                && let Some(snapshot) = &snapshots[place]
                && snapshot.serial == self.serial
                && snapshot.version == self.version.load(Ordering::Acquire)
            {
                return look(&snapshot.endpoints);
            }
            let endpoints = self.snapshot(snapshots, place);
            look(&endpoints)
        })
    }

    #[cold]
    fn snapshot(
        &self,
        snapshots: &RefCell<[Option<Snapshot>; AT_HAND]>,
        place: usize,
    ) -> Endpoints {
        let endpoints = read(&self.endpoints);
        let version = self.version.load(Ordering::Acquire);
        let snapshot = Snapshot { serial: self.serial, version, endpoints: Arc::clone(&endpoints) };
        // Another look of this thread may be under way, further up; then this one is not kept.
        let old = snapshots
            .try_borrow_mut()
            .ok()
            .and_then(|mut snapshots| snapshots[place].replace(snapshot));
        let endpoints = Arc::clone(&endpoints);
        // What is dropped with it may be a connection, and may look at services.
        drop(old);
        endpoints
    }

    /// Whether it has no instance.
    pub(super) fn is_empty(&self) -> bool {
        read(&self.endpoints).is_empty()
    }

    /// Tells when the instances have changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The endpoint, or one in its place that can connect again.
    pub(super) fn unspent(&self, endpoint: Arc<Endpoint>) -> Arc<Endpoint> {
        if !endpoint.is_spent() {
            return endpoint;
        }
        let mut endpoints = write(&self.endpoints);
        let now = endpoints.iter().find(|other| other.serial() == endpoint.serial());
        match now {
            // The instance is gone. Its connection is the only one that it will have had.
            None => return endpoint,
            Some(now) if !now.is_spent() => return Arc::clone(now),
            Some(_) => {}
        }
        let again = Arc::new(endpoint.again());
        let replaced = |other: &Arc<Endpoint>| match other.serial() == endpoint.serial() {
            true => Arc::clone(&again),
            false => Arc::clone(other),
        };
        *endpoints = endpoints.iter().map(replaced).collect();
        self.version.fetch_add(1, Ordering::Release);
        again
    }

    /// Closes the connections to what is not there any more.
    fn replace(&self, change: impl FnOnce(&[Arc<Endpoint>]) -> Vec<Arc<Endpoint>>) {
        let mut endpoints = write(&self.endpoints);
        let new: Endpoints = change(&endpoints).into();
        let old = std::mem::replace(&mut *endpoints, Arc::clone(&new));
        self.version.fetch_add(1, Ordering::Release);
        drop(endpoints);
        for endpoint in old.iter().filter(|e| !new.iter().any(|n| Arc::ptr_eq(e, n))) {
            endpoint.retire();
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Drop for Service {
    /// Threads may hold snapshots for long; what they hold is closed at least.
    fn drop(&mut self) {
        for endpoint in read(&self.endpoints).iter() {
            endpoint.retire();
        }
    }
}

/// Follows the registry's idea of one service.
pub(super) struct Watch {
    registry: Arc<dyn Registry>,
    transports: Arc<[Arc<dyn Transport>]>,
}

impl Watch {
    pub(super) fn new(
        registry: &Arc<dyn Registry>,
        transports: &Arc<[Arc<dyn Transport>]>,
    ) -> Self {
        Self { registry: Arc::clone(registry), transports: Arc::clone(transports) }
    }

    async fn run(self, service: Weak<Service>, name: String) {
        loop {
            match self.registry.watch(Some(&name)).await {
                Ok(mut updates) => {
                    while let Some(update) = updates.next().await {
                        let Some(service) = service.upgrade() else { return };
                        self.apply(&service, update);
                    }
                }
                Err(error) => {
                    tracing::warn!(service = %name, %error, "cannot watch the registry")
                }
            }
            // What was found last stays in use meanwhile.
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn apply(&self, service: &Service, update: Update) {
        service.replace(|old| match update {
            Update::Reset(instances) => {
                let new = |instance| self.endpoint(service, old, instance);
                instances.into_iter().filter_map(new).collect()
            }
            Update::Add(instance) => {
                let others = old.iter().filter(|e| e.instance.id != instance.id).cloned();
                others.chain(self.endpoint(service, old, instance.clone())).collect()
            }
            Update::Remove(id) => old.iter().filter(|e| e.instance.id != id).cloned().collect(),
        });
    }

    /// The endpoint of an instance: the one that there was if nothing about it has changed.
    fn endpoint(
        &self,
        service: &Service,
        old: &[Arc<Endpoint>],
        instance: Instance,
    ) -> Option<Arc<Endpoint>> {
        if let Some(same) = old.iter().find(|e| e.instance == instance) {
            return Some(Arc::clone(same));
        }
        let found = instance.addresses.iter().find_map(|address| {
            let transport = self.transports.iter().find(|t| t.scheme() == address.scheme())?;
            Some((Arc::clone(transport), address.clone()))
        });
        let Some((transport, address)) = found else {
            tracing::warn!(service = %service.name, id = %instance.id, "an instance has no address that we can reach");
            return None;
        };
        Some(Arc::new(Endpoint::new(instance, service.name.clone(), transport, address)))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
