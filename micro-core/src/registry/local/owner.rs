//! The writing side of a local registry: the records of this process, and the lock that says it lives.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::directory::Directory;
use super::name::{OwnerToken, RecordName};
use crate::registry::{Instance, InstanceId, RegistryError};
use crate::sync::lock;
use crate::tasks;

/// How often the files of this process are looked after. They vanish only when somebody clears the
/// directory, so this is the time for which the process is then not found.
const CARE: Duration = Duration::from_secs(5);

/// What one handle of this process has registered.
#[derive(Debug)]
pub(super) struct Owner {
    directory: Directory,
    token: OwnerToken,
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    /// Locked by this process; the kernel unlocks it when the process dies, however it dies.
    alive: File,
    count: u32,
    records: HashMap<InstanceId, Record>,
}

#[derive(Debug)]
struct Record {
    name: RecordName,
    content: Vec<u8>,
}

impl Owner {
    /// Must be called in a runtime: a task looks after the files until the owner is dropped.
    pub(super) fn new(directory: Directory) -> Result<Arc<Self>, RegistryError> {
        let token = OwnerToken::new();
        let alive = sign_of_life(&directory, &token)?;
        let files = Mutex::new(Files { alive, count: 0, records: HashMap::new() });
        let owner = Arc::new(Self { directory, token, files });
        tasks::spawn(look_after(Arc::downgrade(&owner)));
        Ok(owner)
    }

    /// Writes a record, and removes the earlier one of the same instance.
    pub(super) fn publish(&self, instance: &Instance) -> Result<RecordName, RegistryError> {
        let content = instance.encode()?;
        let mut files = lock(&self.files);
        self.show_life(&mut files)?;
        files.count += 1;
        let name = RecordName {
            service: instance.service.clone(),
            id: instance.id.clone(),
            owner: self.token.clone(),
            number: files.count,
        };
        put(&self.directory, &name.to_string(), &content, false)?;
        let record = Record { name: name.clone(), content };
        if let Some(earlier) = files.records.insert(instance.id.clone(), record) {
            // Left behind it would lose against the later one anyway.
            let _ = fs::remove_file(self.directory.file(&earlier.name.to_string()));
        }
        Ok(name)
    }

    /// Removes a record, unless a later one has taken its place.
    pub(super) fn withdraw(&self, name: &RecordName) -> Result<(), RegistryError> {
        // The lock is held to the end, or the record could be restored after it was removed.
        let mut files = lock(&self.files);
        if files.records.get(&name.id).is_none_or(|record| record.name != *name) {
            return Ok(());
        }
        files.records.remove(&name.id);
        let path = self.directory.file(&name.to_string());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RegistryError::unavailable(format!("cannot remove {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Writes again what somebody has removed.
    pub(super) fn restore(&self) -> Result<(), RegistryError> {
        let mut files = lock(&self.files);
        if files.records.is_empty() {
            return Ok(());
        }
        self.show_life(&mut files)?;
        for record in files.records.values() {
            let name = record.name.to_string();
            if !exists(&self.directory, &name) {
                put(&self.directory, &name, &record.content, false)?;
            }
        }
        Ok(())
    }

    fn show_life(&self, files: &mut Files) -> Result<(), RegistryError> {
        if !exists(&self.directory, &self.token.lock_name()) {
            // The whole directory may be gone, and another one in its place.
            Directory::open(self.directory.path())?;
            files.alive = sign_of_life(&self.directory, &self.token)?;
        }
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.directory.file(&self.token.lock_name()));
    }
}

async fn look_after(owner: Weak<Owner>) {
    let mut ticks = interval_at(Instant::now() + CARE, CARE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut well = true;
    loop {
        ticks.tick().await;
        let Some(owner) = owner.upgrade() else { return };
        let outcome = tokio::task::spawn_blocking(move || owner.restore()).await;
        if let Ok(Err(error)) = &outcome
            && well
        {
            tracing::warn!(%error, "other processes may not find this one");
        }
        well = matches!(outcome, Ok(Ok(())));
    }
}

fn sign_of_life(directory: &Directory, token: &OwnerToken) -> Result<File, RegistryError> {
    put(directory, &token.lock_name(), b"", true)
}

fn put(
    directory: &Directory,
    name: &str,
    content: &[u8],
    locked: bool,
) -> Result<File, RegistryError> {
    directory.put(name, content, locked).map_err(|error| {
        let path = directory.file(name);
        RegistryError::unavailable(format!("cannot write {}: {error}", path.display()), error)
    })
}

fn exists(directory: &Directory, name: &str) -> bool {
    fs::symlink_metadata(directory.file(name)).is_ok()
}
