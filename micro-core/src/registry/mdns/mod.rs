//! The registry of one local network, by multicast DNS. Anyone on the network can read it and lie in it:
//! opt-in, and no more than a hint about where to knock.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mdns_sd::{Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::table::Ignored;
use super::{
    Capabilities, Instance, InstanceId, Lease, Registry, RegistryError, Table, Update, Updates,
};
use crate::call::BoxFuture;
use crate::sync::lock;
use crate::tasks;

mod listener;
mod probe;
mod record;
#[cfg(test)]
mod tests;

/// How long we may hear ourselves after we stopped.
const ECHO: Duration = Duration::from_secs(5);
/// What is announced: `<instance>._micro._udp.local`.
const SERVICE: &str = "_micro._udp.local.";
/// How long a network may take to answer the first question. Two are asked in that time.
const SETTLE: Duration = Duration::from_millis(1_200);
/// What the library's responder says about its records. They outlive a crash by so much.
const TTL: Duration = Duration::from_secs(120);
/// How long an announcement or a goodbye may wait for the daemon.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the daemon has to make room in its queue before it is tried again.
const QUEUE: Duration = Duration::from_millis(5);

/// Where an [`MdnsRegistry`] speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MdnsOptions {
    /// Stay on this machine: only the loopback interface is used. Default: no.
    pub loopback_only: bool,
    /// The UDP port. Default: 5353, where the rest of the network is.
    pub port: u16,
}

impl Default for MdnsOptions {
    fn default() -> Self {
        Self { loopback_only: false, port: mdns_sd::MDNS_PORT }
    }
}

/// A registry without a server, for the machines of one network. Clones share one daemon.
///
/// It announces id, port, addresses, service, version and subscriptions, and no metadata. Names of any
/// length work, since the service is not part of the DNS name.
#[derive(Clone, Debug)]
pub struct MdnsRegistry(Arc<Inner>);

struct Inner {
    options: MdnsOptions,
    /// What the network says, and what we say ourselves.
    table: Table,
    own: Mutex<Own>,
    /// A thread of the library, with its cache. None while it rests from a flood.
    daemon: Mutex<Option<ServiceDaemon>>,
    /// Until when an unknown service may still turn up.
    settled: Mutex<Instant>,
    ignored: Ignored,
}

#[derive(Default)]
struct Own {
    count: u64,
    announced: HashMap<InstanceId, Announced>,
    /// What was taken back, and when: what was said of it before may still be on its way.
    withdrawn: HashMap<InstanceId, Instant>,
}

struct Announced {
    /// Which registration it is: an earlier lease must not end a later one.
    number: u64,
    instance: Arc<Instance>,
    info: ServiceInfo,
}

impl MdnsRegistry {
    /// The registry of the network that this machine is in. Must be called in a tokio runtime.
    ///
    /// Multicast is tried out first: blocks for half a second at most, and only if there is none.
    ///
    /// # Errors
    /// [`RegistryError::Misconfigured`] when there is no multicast here, as in most clouds and
    /// containers, or the port cannot be shared.
    pub fn open(options: MdnsOptions) -> Result<Self, RegistryError> {
        probe::multicast(&options)?;
        let (daemon, events) = start(&options)?;
        let inner = Arc::new(Inner {
            options,
            table: Table::new(),
            own: Mutex::default(),
            daemon: Mutex::new(Some(daemon)),
            settled: Mutex::new(Instant::now() + SETTLE),
            ignored: Ignored::default(),
        });
        tasks::spawn(listener::listen(Arc::downgrade(&inner), events));
        Ok(Self(inner))
    }

    /// Waits until `found` finds something, or the network has had time to answer.
    async fn settle<T>(&self, found: impl Fn(&Table) -> Option<T>) -> Option<T> {
        let settled = *lock(&self.0.settled);
        let mut updates = self.0.table.watch(None);
        loop {
            if let Some(found) = found(&self.0.table) {
                return Some(found);
            }
            // Each update is worth one more look, whatever it says.
            let _: Option<Update> = timeout_at(settled, updates.next()).await.ok()?;
        }
    }
}

/// A daemon of the library on the right interfaces, and what it finds.
fn start(options: &MdnsOptions) -> Result<(ServiceDaemon, Receiver<ServiceEvent>), RegistryError> {
    let failed = |error| RegistryError::unavailable("multicast DNS cannot be started", error);
    let daemon = ServiceDaemon::new_with_port(options.port).map_err(failed)?;
    if options.loopback_only {
        daemon.disable_interface(mdns_sd::IfKind::All).map_err(failed)?;
        daemon.enable_interface(mdns_sd::IfKind::LoopbackV4).map_err(failed)?;
    }
    let events = daemon.browse(SERVICE).map_err(failed)?;
    Ok((daemon, events))
}

/// Ends a daemon, which says goodbye for all that it announced.
fn stop(daemon: &ServiceDaemon) {
    // Only its queue can be in the way, and a thread empties that.
    for _ in 0..100 {
        match daemon.shutdown() {
            Err(mdns_sd::Error::Again) => std::thread::yield_now(),
            _ => return,
        }
    }
}

impl Own {
    /// Whether an announcement is, or was until just now, our own.
    fn is_echo(&self, id: &InstanceId) -> bool {
        self.announced.contains_key(id)
            || self.withdrawn.get(id).is_some_and(|when| when.elapsed() < ECHO)
    }
}

impl Inner {
    /// Announces an instance; the number of the registration, or `None` when the daemon's queue is full.
    fn announce(&self, instance: &Instance) -> Result<Option<u64>, RegistryError> {
        let info = record::announced(instance, &self.options)?;
        let instance = Arc::new(record::as_seen_here(instance));
        let mut own = lock(&self.own);
        let earlier = own.announced.get(&instance.id).map(|a| Instance::clone(&a.instance));
        self.table.put(Instance::clone(&instance))?;
        // Without a daemon it is announced by the next one.
        let said = match &*lock(&self.daemon) {
            Some(daemon) => daemon.register(info.clone()),
            None => Ok(()),
        };
        if let Err(error) = said {
            match earlier {
                Some(earlier) => self.table.put(earlier)?,
                None => drop(self.table.remove(&instance.id)),
            }
            return match error {
                mdns_sd::Error::Again => Ok(None),
                error => Err(RegistryError::unavailable("an instance cannot be announced", error)),
            };
        }
        own.count += 1;
        let number = own.count;
        own.announced.insert(instance.id.clone(), Announced { number, instance, info });
        Ok(Some(number))
    }

    /// Takes an instance back, unless it was registered again. The future is done when that was said.
    fn withdraw(
        &self,
        id: &InstanceId,
        number: u64,
    ) -> BoxFuture<'static, Result<(), RegistryError>> {
        let daemon = {
            let mut own = lock(&self.own);
            if own.announced.get(id).is_none_or(|announced| announced.number != number) {
                return Box::pin(std::future::ready(Ok(())));
            }
            own.announced.remove(id);
            own.withdrawn.retain(|_, when| when.elapsed() < ECHO);
            own.withdrawn.insert(id.clone(), Instant::now());
            self.table.remove(id);
            lock(&self.daemon).clone()
        };
        let Some(daemon) = daemon else {
            return Box::pin(std::future::ready(Ok(())));
        };
        let name = record::full_name(id);
        let mut said = daemon.unregister(&name);
        Box::pin(async move {
            let goodbye = async {
                while let Err(mdns_sd::Error::Again) = said {
                    sleep(QUEUE).await;
                    said = daemon.unregister(&name);
                }
                match said {
                    Ok(said) => said.recv_async().await.map(drop).map_err(Into::into),
                    Err(error) => Err(error.into()),
                }
            };
            timeout(PATIENCE, goodbye).await.unwrap_or_else(|late| Err(late.into())).map_err(
                |error: Box<dyn Error + Send + Sync>| {
                    RegistryError::unavailable("goodbye was not said", error)
                },
            )
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(daemon) = lock(&self.daemon).take() {
            stop(&daemon);
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MdnsRegistry")
            .field("options", &self.options)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Registry for MdnsRegistry {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            immediate: false,
            metadata: false,
            remote: !self.0.options.loopback_only,
            ttl: Some(TTL),
            ..Capabilities::in_process()
        }
    }

    fn register(&self, instance: Instance) -> BoxFuture<'_, Result<Lease, RegistryError>> {
        Box::pin(async move {
            let id = instance.id.clone();
            let patience = Instant::now() + PATIENCE;
            let number = loop {
                match self.0.announce(&instance)? {
                    Some(number) => break number,
                    None if Instant::now() < patience => sleep(QUEUE).await,
                    None => {
                        let what = "an instance cannot be announced".to_owned();
                        return Err(RegistryError::Unavailable { what, source: None });
                    }
                }
            };
            let inner = self.0.clone();
            Ok(Lease::new(id.clone(), move || inner.withdraw(&id, number)))
        })
    }

    fn lookup<'a>(
        &'a self,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Instance>, RegistryError>> {
        Box::pin(async move {
            let found = self.settle(|table| Some(table.lookup(service)).filter(|f| !f.is_empty()));
            Ok(found.await.unwrap_or_default())
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Instance>, RegistryError>> {
        Box::pin(async move {
            // Nobody can know when the list is complete, so it takes the whole time, the first time.
            self.settle(|_| None::<()>).await;
            Ok(self.0.table.list())
        })
    }

    fn watch<'a>(
        &'a self,
        service: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Updates, RegistryError>> {
        Box::pin(async move { Ok(self.0.table.watch(service)) })
    }
}
