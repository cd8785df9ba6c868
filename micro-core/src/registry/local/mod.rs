//! The registry of one user on one machine, without a server: a directory with a file per instance.
//!
//! A process holds a lock as long as it lives, which the kernel drops when it dies, even by `kill -9`.
//! Whoever finds a record whose owner holds no lock removes it, so that no dead instance is ever
//! returned, and no process id can be mistaken for another.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use self::directory::Directory;
use self::owner::Owner;
use self::reader::Reader;
use super::{Capabilities, Instance, Lease, Registry, RegistryError, Table, Updates};
use crate::call::BoxFuture;
use crate::sync::lock;
use crate::tasks;

mod directory;
mod name;
mod owner;
mod reader;
#[cfg(test)]
mod tests;

/// How often the directory is looked at while somebody watches.
const LOOK: Duration = Duration::from_millis(50);

/// A registry in a directory. Clones share their leases' lock and their watching.
#[derive(Clone, Debug)]
pub struct LocalRegistry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: Directory,
    reader: Reader,
    /// Made at the first registration: a process that only looks writes nothing.
    owner: Mutex<Option<Arc<Owner>>>,
    table: Table,
    /// Whether the directory could not be read at the last look for changes.
    outage: AtomicBool,
    /// The task that looks for changes, if it runs.
    watching: Mutex<Option<AbortHandle>>,
    /// One look at a time: a thousand lookups at once must not take a thousand threads.
    looks: Arc<Semaphore>,
}

impl LocalRegistry {
    /// The registry in `directory`, which is made if it is missing.
    ///
    /// # Errors
    /// [`RegistryError::Misconfigured`] when the directory belongs to another user, can be written to by
    /// others, is a symbolic link, cannot be made or written to, or is on a file system without locks.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, RegistryError> {
        let directory = Directory::open(directory.as_ref())?;
        Ok(Self(Arc::new(Inner {
            reader: Reader::new(directory.clone()),
            directory,
            owner: Mutex::default(),
            table: Table::new(),
            outage: AtomicBool::new(false),
            watching: Mutex::default(),
            looks: Arc::new(Semaphore::new(1)),
        })))
    }

    /// Looks into the directory: an own thread, since it may be slow or large, and callers answer to
    /// deadlines.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Inner) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        // Who waits here is bounded by who calls. The permit goes along, so that a look whose caller
        // has gone away still counts.
        let permit = self.0.looks.clone().acquire_owned().await;
        let inner = self.0.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            look(&inner)
        });
        looked.await.unwrap_or_else(|error| {
            Err(RegistryError::unavailable("the registry directory could not be read", error))
        })
    }

    /// Starts to look for changes, unless that is under way.
    fn watched(&self) {
        let mut watching = lock(&self.0.watching);
        // Finished without saying so: its runtime has ended.
        if watching.as_ref().is_none_or(AbortHandle::is_finished) {
            *watching = Some(tasks::spawn(look_for_changes(Arc::downgrade(&self.0))));
        }
    }
}

impl Inner {
    fn owner(&self) -> Result<Arc<Owner>, RegistryError> {
        let mut owner = lock(&self.owner);
        if let Some(owner) = &*owner {
            return Ok(owner.clone());
        }
        let new = Owner::new(self.directory.clone())?;
        *owner = Some(new.clone());
        Ok(new)
    }

    /// Brings the table up to date.
    fn refresh(&self) -> Result<(), RegistryError> {
        let instances = self.reader.read(None)?;
        if self.outage.swap(false, Ordering::Relaxed) {
            // What happened while we could not see is not known change by change.
            self.table.reset(instances);
        } else {
            self.table.update(instances);
        }
        Ok(())
    }

    /// Whether the task that looks for changes is still needed. If not, the next watcher starts another.
    fn is_watched(&self) -> bool {
        let mut watching = lock(&self.watching);
        if self.table.watchers() == 0 {
            *watching = None;
        }
        watching.is_some()
    }
}

/// Ends when nobody watches any more, and with the registry.
async fn look_for_changes(registry: Weak<Inner>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = registry.upgrade() else {
            return;
        };
        if !inner.is_watched() {
            return;
        }
        let registry = LocalRegistry(inner);
        if let Err(error) = registry.look(Inner::refresh).await
            && !registry.0.outage.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "watchers keep what was known last");
        }
    }
}

impl Registry for LocalRegistry {
    fn capabilities(&self) -> Capabilities {
        Capabilities::in_process()
    }

    fn register(&self, instance: Instance) -> BoxFuture<'_, Result<Lease, RegistryError>> {
        Box::pin(async move {
            let id = instance.id.clone();
            self.look(move |inner| {
                let owner = inner.owner()?;
                let name = owner.publish(&instance)?;
                // Removing one file is a matter of microseconds, and must have happened when a program
                // ends right after: so it is done where the lease is dropped.
                Ok(Lease::new(id, move || {
                    let outcome = owner.withdraw(&name);
                    Box::pin(std::future::ready(outcome))
                }))
            })
            .await
        })
    }

    fn lookup<'a>(
        &'a self,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Instance>, RegistryError>> {
        Box::pin(async move {
            let service = service.to_owned();
            self.look(move |inner| Ok(owned(inner.reader.read(Some(&service))?))).await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Instance>, RegistryError>> {
        Box::pin(self.look(|inner| Ok(owned(inner.reader.read(None)?))))
    }

    fn watch<'a>(
        &'a self,
        service: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Updates, RegistryError>> {
        Box::pin(async move {
            // The table is as old as the last watcher.
            self.look(Inner::refresh).await?;
            let updates = self.0.table.watch(service);
            self.watched();
            Ok(updates)
        })
    }
}

fn owned(instances: Vec<Arc<Instance>>) -> Vec<Instance> {
    instances.into_iter().map(Arc::unwrap_or_clone).collect()
}
