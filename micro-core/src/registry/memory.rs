//! The registry of one process: for tests, and for programs that are all in one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{Capabilities, Instance, InstanceId, Lease, Registry, RegistryError, Table, Updates};
use crate::call::BoxFuture;
use crate::sync::lock;

/// A registry in memory. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct MemoryRegistry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    table: Table,
    leases: Mutex<Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    count: u64,
    /// Which registration of an id counts: an earlier lease must not end a later one.
    current: HashMap<InstanceId, u64>,
}

impl MemoryRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Inner {
    fn register(&self, instance: Instance) -> Result<u64, RegistryError> {
        // The bounds are those of a record that is written down.
        instance.encode()?;
        let id = instance.id.clone();
        let mut leases = lock(&self.leases);
        self.table.put(instance)?;
        leases.count += 1;
        let number = leases.count;
        leases.current.insert(id, number);
        Ok(number)
    }

    fn deregister(&self, id: &InstanceId, number: u64) {
        let mut leases = lock(&self.leases);
        if leases.current.get(id) == Some(&number) {
            leases.current.remove(id);
            self.table.remove(id);
        }
    }
}

impl Registry for MemoryRegistry {
    fn capabilities(&self) -> Capabilities {
        Capabilities::in_process()
    }

    fn register(&self, instance: Instance) -> BoxFuture<'_, Result<Lease, RegistryError>> {
        Box::pin(async move {
            let id = instance.id.clone();
            let number = self.0.register(instance)?;
            let inner = self.0.clone();
            Ok(Lease::new(id.clone(), move || {
                inner.deregister(&id, number);
                Box::pin(std::future::ready(Ok(())))
            }))
        })
    }

    fn lookup<'a>(
        &'a self,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Instance>, RegistryError>> {
        Box::pin(async move { Ok(self.0.table.lookup(service)) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Instance>, RegistryError>> {
        Box::pin(async move { Ok(self.0.table.list()) })
    }

    fn watch<'a>(
        &'a self,
        service: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Updates, RegistryError>> {
        Box::pin(async move { Ok(self.0.table.watch(service)) })
    }
}
