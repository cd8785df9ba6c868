//! The directory of a local registry: made, checked, and written to so that nobody reads half a file.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::id::Id;
use crate::registry::RegistryError;

/// A directory that only this user can write to, on a file system with locks.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory if it is missing, and checks it.
    pub(super) fn open(path: &Path) -> Result<Self, RegistryError> {
        // Without a trailing `/` or `.`, which would look through a symbolic link.
        let path: PathBuf = std::path::absolute(path)
            .map_err(|error| broken(path, "is not a path", error))?
            .components()
            .collect();
        let directory = Self { path };
        directory.create()?;
        directory.check()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it. Names are made here, never taken from others.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts a new file in place, complete and, if asked, already locked by this process.
    pub(super) fn put(&self, name: &str, content: &[u8], locked: bool) -> io::Result<File> {
        let temporary = self.file(&temporary_name());
        let outcome = (|| {
            let mut file = create(&temporary)?;
            if locked {
                file.try_lock().map_err(io::Error::from)?;
            }
            file.write_all(content)?;
            fs::rename(&temporary, self.file(name))?;
            Ok(file)
        })();
        if outcome.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        outcome
    }

    fn create(&self) -> Result<(), RegistryError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path).map_err(|error| broken(&self.path, "cannot be created", error))
    }

    fn check(&self) -> Result<(), RegistryError> {
        let path = self.path.display();
        let metadata = fs::symlink_metadata(&self.path)
            .map_err(|error| broken(&self.path, "cannot be read", error))?;
        if !metadata.is_dir() {
            return Err(RegistryError::misconfigured(format!(
                "the registry directory {path} is not a directory itself (a symbolic link may lead \
                 anywhere); remove it or name another one"
            )));
        }
        let probe_path = self.file(&temporary_name());
        let probe = create(&probe_path)
            .map_err(|error| broken(&self.path, "cannot be written to", error))?;
        let outcome = self.is_ours(&metadata, &probe).and_then(|()| has_locks(&probe, &probe_path));
        let _ = fs::remove_file(&probe_path);
        outcome
    }

    /// Whoever may write here decides where this user's calls are sent first.
    #[cfg(unix)]
    fn is_ours(&self, directory: &fs::Metadata, probe: &File) -> Result<(), RegistryError> {
        use std::os::unix::fs::MetadataExt;

        let path = self.path.display();
        // A file that we make is ours: std cannot say who we are.
        let us =
            probe.metadata().map_err(|error| broken(&self.path, "cannot be read", error))?.uid();
        if directory.uid() != us {
            return Err(RegistryError::misconfigured(format!(
                "the registry directory {path} belongs to user {}, and this process runs as user {us}; \
                 name a directory of your own",
                directory.uid()
            )));
        }
        if directory.mode() & 0o022 != 0 {
            return Err(RegistryError::misconfigured(format!(
                "the registry directory {path} is writable by others; run `chmod 700 {path}`"
            )));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn is_ours(&self, _: &fs::Metadata, _: &File) -> Result<(), RegistryError> {
        // A user's own directories are closed to others by default where there are no modes.
        Ok(())
    }
}

/// Whether a lock keeps another handle out: without that, the dead look alive or the living dead.
fn has_locks(probe: &File, path: &Path) -> Result<(), RegistryError> {
    let outcome = probe.try_lock().map_err(io::Error::from).and_then(|()| File::open(path));
    match outcome.map(|second| second.try_lock_shared()) {
        Ok(Err(TryLockError::WouldBlock)) => Ok(()),
        Ok(Err(TryLockError::Error(error))) | Err(error) => {
            Err(broken(path, "has no locks", error))
        }
        Ok(Ok(())) => Err(RegistryError::misconfigured(format!(
            "the file system of {} does not keep locks; put the registry directory on a local one",
            path.display()
        ))),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn temporary_name() -> String {
    format!("{}.tmp", Id::random())
}

fn broken(path: &Path, what: &str, error: io::Error) -> RegistryError {
    RegistryError::Misconfigured {
        what: format!("the registry directory {} {what}: {error}", path.display()),
        source: Some(error.into()),
    }
}
