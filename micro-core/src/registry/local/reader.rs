//! The reading side of a local registry: finds the records of living processes and clears away the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::directory::Directory;
use super::name::{OwnerToken, RecordName, is_transient};
use crate::registry::table::Ignored;
use crate::registry::{
    Instance, InstanceId, MAX_INSTANCES, MAX_INSTANCES_PER_SERVICE, RegistryError,
};
use crate::sync::lock;

/// Files that are looked at: each instance has a record, and at most a lock and a temporary file.
const MAX_FILES: usize = 3 * MAX_INSTANCES;
/// Locks and temporary files younger than this may still be on their way to their use.
const OLD: Duration = Duration::from_secs(60);

/// Reads a directory again and again, and each record once.
#[derive(Debug)]
pub(super) struct Reader {
    directory: Directory,
    /// What is in the records that were read; `None` is garbage. A record never changes under its name.
    known: Mutex<HashMap<RecordName, Option<Arc<Instance>>>>,
    ignored: Ignored,
}

struct Files {
    /// In order.
    names: Vec<RecordName>,
    transient: Vec<String>,
}

impl Reader {
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory, known: Mutex::default(), ignored: Ignored::default() }
    }

    /// The living instances of `service`, or of all, by id.
    pub(super) fn read(&self, service: Option<&str>) -> Result<Vec<Arc<Instance>>, RegistryError> {
        let Files { names, transient } = self.files(service)?;
        let mut known = lock(&self.known);
        known.retain(|name, _| {
            service.is_some_and(|service| service != name.service)
                || names.binary_search(name).is_ok()
        });
        let mut owners = HashMap::new();
        let mut found = BTreeMap::<InstanceId, Arc<Instance>>::new();
        let mut per_service = HashMap::<&str, usize>::new();
        let mut over = 0;
        for name in &names {
            let alive = *owners.entry(&name.owner).or_insert_with(|| self.is_alive(&name.owner));
            if !alive {
                self.remove(&name.to_string());
                continue;
            }
            let Some(instance) = self.instance(name, &mut known) else {
                continue;
            };
            // Names are in order: a later record of the same instance replaces the earlier one.
            let count = per_service.entry(&name.service).or_default();
            let new = !found.contains_key(&name.id);
            if new && (*count >= MAX_INSTANCES_PER_SERVICE || found.len() >= MAX_INSTANCES) {
                over += 1;
                continue;
            }
            *count += usize::from(new);
            found.insert(name.id.clone(), instance);
        }
        for (owner, alive) in &owners {
            if !alive {
                self.remove(&owner.lock_name());
            }
        }
        let probed: HashSet<_> = owners.keys().map(|owner| owner.lock_name()).collect();
        transient.iter().filter(|name| !probed.contains(*name)).for_each(|name| self.sweep(name));
        self.ignored.note(over, &"too many instances");
        Ok(found.into_values().collect())
    }

    /// Records that were not taken so far.
    #[cfg(test)]
    pub(super) fn ignored(&self) -> u64 {
        self.ignored.count()
    }

    /// The names of the records of `service`, or of all, and then also of what else is ours.
    fn files(&self, service: Option<&str>) -> Result<Files, RegistryError> {
        let failed = |error: io::Error| {
            let path = self.directory.path().display();
            RegistryError::unavailable(format!("cannot read {path}: {error}"), error)
        };
        let (mut names, mut transient) = (Vec::new(), Vec::new());
        let entries = fs::read_dir(self.directory.path()).map_err(failed)?;
        for (count, entry) in entries.enumerate() {
            if count == MAX_FILES {
                self.ignored.note(1, &format_args!("more than {MAX_FILES} files"));
                break;
            }
            let entry = entry.map_err(failed)?;
            // Opening a pipe would block, and a link or a device may do anything.
            if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            let file_name = entry.file_name();
            let Some(text) = file_name.to_str() else {
                continue;
            };
            match RecordName::parse(text) {
                Some(name) => names
                    .extend(service.is_none_or(|service| service == name.service).then_some(name)),
                None if service.is_none() && is_transient(text) => transient.push(text.to_owned()),
                None => {}
            }
        }
        names.sort_unstable();
        Ok(Files { names, transient })
    }

    fn instance(
        &self,
        name: &RecordName,
        known: &mut HashMap<RecordName, Option<Arc<Instance>>>,
    ) -> Option<Arc<Instance>> {
        if let Some(instance) = known.get(name) {
            return instance.clone();
        }
        // A failure to read may pass (no file descriptor is free), so only content is remembered.
        let bytes = match read_bounded(&self.directory.file(&name.to_string())) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.ignored.note(1, &error);
                return None;
            }
        };
        let instance = match Instance::decode(&bytes) {
            Ok(instance) if instance.id == name.id && instance.service == name.service => {
                Some(Arc::new(instance))
            }
            Ok(_) => {
                self.ignored.note(1, &"a record is not what its name says");
                None
            }
            Err(error) => {
                self.ignored.note(1, &error);
                None
            }
        };
        known.insert(name.clone(), instance.clone());
        instance
    }

    /// Whether the process holds its lock. What cannot be found out is taken for a yes: a living
    /// process must never lose its records, and the dead are found dead at the next look.
    fn is_alive(&self, owner: &OwnerToken) -> bool {
        let path = self.directory.file(&owner.lock_name());
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => is_locked(&path),
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes what a process left behind that died before it registered, or after.
    fn sweep(&self, name: &str) {
        let path = self.directory.file(name);
        let old = |metadata: fs::Metadata| {
            metadata.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|t| t > OLD)
        };
        if fs::symlink_metadata(&path).is_ok_and(old) && !is_locked(&path) {
            self.remove(name);
        }
    }

    fn remove(&self, name: &str) {
        // Another reader may have been faster, and one that failed is repeated at the next look.
        let _ = fs::remove_file(self.directory.file(name));
    }
}

fn is_locked(path: &Path) -> bool {
    match File::open(path).map(|file| file.try_lock_shared()) {
        Ok(Ok(())) => false,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more shows that there is more.
    File::open(path)?.take(Instance::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
