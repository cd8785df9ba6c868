//! Where the files of one user live, and what makes such a directory fit for secrets.
//!
//! All processes of a user must find the same directory, since it is where their common development
//! CA lies; so the choice depends on the environment and on ownership, never on who came first.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::id::Id;

/// The directory of this user's state, made if it is missing.
///
/// The first that applies: `$MICRO_HOME`, `$XDG_STATE_HOME/micro`, `$HOME/.local/state/micro`,
/// `$XDG_RUNTIME_DIR/micro`, `micro-<uid>` in the directory for temporary files. A place that is unset,
/// relative, not writable or another user's is passed over, but `MICRO_HOME` is taken at its word.
///
/// # Errors
///
/// [`HomeError`] when `MICRO_HOME` cannot be used, when no place can be written to, or when the chosen
/// directory is a symbolic link, another user's, or open to others.
pub fn state_dir() -> Result<PathBuf, HomeError> {
    Env::of_process().state_dir()
}

/// Why there is no directory for this user's state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// `MICRO_HOME` depends on the directory that a process was started in.
    #[error("MICRO_HOME is `{}`, but must be an absolute path", .0.display())]
    Relative(PathBuf),
    /// The directory cannot be made or written to.
    #[error("cannot write to `{}`; set MICRO_HOME to a directory of your own", .path.display())]
    Unavailable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory exists, but others could read or change what is put there.
    #[error("refusing to use `{}`: {why}", .path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it and what to do.
        why: String,
    },
}

/// Makes `path` with mode 0700, or checks that what is there is as good as if we had made it.
///
/// # Errors
///
/// As [`state_dir`].
pub(crate) fn private_dir(path: &Path) -> Result<(), HomeError> {
    let unavailable = |source| HomeError::Unavailable { path: path.to_owned(), source };
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unavailable)?;
            fs::symlink_metadata(path)
        }
        found => found,
    }
    .map_err(unavailable)?;
    let refused = |why| HomeError::Unsafe { path: path.to_owned(), why };
    check_kind(&meta).and_then(|()| check_mode(meta.mode(), "700")).map_err(refused)?;
    // Last, since it writes there.
    let uid = probe(path).map_err(unavailable)?;
    check_owner(meta.uid(), uid).map_err(refused)
}

/// Whether only the owner may read or change a file; `right` is what `chmod` should have been given.
pub(crate) fn check_mode(mode: u32, right: &str) -> Result<(), String> {
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(format!(
            "other users may use it (mode {:04o}); if they did not, `chmod {right}` it, else delete it",
            mode & 0o7777
        )),
    }
}

fn check_kind(meta: &Metadata) -> Result<(), String> {
    match meta.file_type() {
        kind if kind.is_symlink() => Err("it is a symbolic link, which others may redirect".into()),
        kind if kind.is_dir() => Ok(()),
        _ => Err("it is not a directory".into()),
    }
}

fn check_owner(owner: u32, us: u32) -> Result<(), String> {
    match owner == us {
        true => Ok(()),
        false => Err(format!(
            "it belongs to user {owner}, and this process runs as user {us}; \
             set MICRO_HOME to a directory of your own"
        )),
    }
}

/// Whom the files belong to that this process makes in `dir`: the way to one's own user id without a
/// system call that std does not wrap, and the proof that `dir` is writable.
fn probe(dir: &Path) -> io::Result<u32> {
    let path = dir.join(format!(".probe-{}", Id::random()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let uid = file.metadata().map(|meta| meta.uid());
    fs::remove_file(&path)?;
    uid
}

/// What of the environment decides, as values, so that tests need not change their process.
#[derive(Debug)]
struct Env {
    micro_home: Option<PathBuf>,
    xdg_state_home: Option<PathBuf>,
    home: Option<PathBuf>,
    xdg_runtime_dir: Option<PathBuf>,
    temp: PathBuf,
}

impl Env {
    fn of_process() -> Self {
        // An empty value counts as none: the XDG specification says so, and so do shells.
        let path = |name| env::var_os(name).filter(|v: &OsString| !v.is_empty()).map(PathBuf::from);
        Self {
            micro_home: path("MICRO_HOME"),
            xdg_state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
            temp: env::temp_dir(),
        }
    }

    fn state_dir(&self) -> Result<PathBuf, HomeError> {
        if let Some(dir) = &self.micro_home {
            if !dir.is_absolute() {
                return Err(HomeError::Relative(dir.clone()));
            }
            return private_dir(dir).map(|()| dir.clone());
        }
        // HOME and XDG_RUNTIME_DIR are made by the system: one that is missing is wrong, and root
        // would otherwise make a home for an account that has none.
        let exists = |dir: &&PathBuf| dir.is_dir();
        let bases = [
            (self.xdg_state_home.as_ref(), "micro"),
            (self.home.as_ref().filter(exists), ".local/state/micro"),
            (self.xdg_runtime_dir.as_ref().filter(exists), "micro"),
        ];
        for (base, below) in bases {
            let Some(base) = base.filter(|dir| dir.is_absolute()) else {
                continue;
            };
            let dir = base.join(below);
            if !ours(&dir)? && !ours(nearest_existing(base))? {
                continue;
            }
            match private_dir(&dir) {
                Err(HomeError::Unavailable { source, .. }) if is_closed(&source) => {}
                done => return done.map(|()| dir),
            }
        }
        self.temp_dir()
    }

    fn temp_dir(&self) -> Result<PathBuf, HomeError> {
        let uid = probe(&self.temp)
            .map_err(|source| HomeError::Unavailable { path: self.temp.clone(), source })?;
        let dir = self.temp.join(format!("micro-{uid}"));
        private_dir(&dir).map(|()| dir)
    }
}

/// Whether `dir` belongs to this process's user, who can write there. `sudo` and containers often leave
/// a HOME that is somebody else's: files made there would lock out that user.
fn ours(dir: &Path) -> Result<bool, HomeError> {
    let found = fs::metadata(dir).and_then(|meta| Ok(meta.uid() == probe(dir)?));
    match found {
        Err(error) if is_closed(&error) => Ok(false),
        found => found.map_err(|source| HomeError::Unavailable { path: dir.to_owned(), source }),
    }
}

/// Whether the place is closed to us for good. Anything else (a full disk) must not move us elsewhere:
/// the user's other processes would not follow.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}

fn nearest_existing(path: &Path) -> &Path {
    path.ancestors().find(|dir| dir.exists()).unwrap_or(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// A directory of one test, removed with all in it.
    pub(crate) struct TempDir(pub(crate) PathBuf);

    impl TempDir {
        pub(crate) fn new() -> Self {
            let path = env::temp_dir().join(format!("micro-test-{}", Id::random()));
            DirBuilder::new().mode(0o700).create(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Where not even root can make a file.
    const CLOSED: &str = "/proc";

    fn env(temp: &TempDir) -> Env {
        Env {
            micro_home: None,
            xdg_state_home: None,
            home: None,
            xdg_runtime_dir: None,
            temp: temp.0.clone(),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn refusal(env: &Env) -> String {
        env.state_dir().unwrap_err().to_string()
    }

    #[test]
    fn the_first_place_that_is_set_wins() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        let home = temp.0.join("home");
        fs::create_dir(&home).unwrap();
        env.home = Some(home.clone());
        assert_eq!(env.state_dir().unwrap(), home.join(".local/state/micro"));
        env.xdg_state_home = Some(temp.0.join("not/yet/made"));
        assert_eq!(env.state_dir().unwrap(), temp.0.join("not/yet/made/micro"));
        env.micro_home = Some(temp.0.join("mine"));
        assert_eq!(env.state_dir().unwrap(), temp.0.join("mine"));
    }

    #[test]
    fn it_is_made_for_the_owner_alone_and_found_again() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        env.home = Some(temp.0.clone());
        let dir = env.state_dir().unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(env.state_dir().unwrap(), dir);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "no probe is left behind");
    }

    #[test]
    fn a_home_that_is_unset_missing_relative_or_closed_is_passed_over() {
        for home in [None, Some("/nonexistent/home"), Some("relative"), Some(CLOSED)] {
            let temp = TempDir::new();
            let mut env = env(&temp);
            env.home = home.map(PathBuf::from);
            env.xdg_state_home = home.map(|home| Path::new(home).join("state"));
            if home == Some("/nonexistent/home") {
                env.xdg_state_home = None;
            }
            let uid = fs::metadata(&temp.0).unwrap().uid();
            assert_eq!(env.state_dir().unwrap(), temp.0.join(format!("micro-{uid}")), "{home:?}");
            let runtime = temp.0.join("run");
            fs::create_dir(&runtime).unwrap();
            env.xdg_runtime_dir = Some(runtime.clone());
            assert_eq!(env.state_dir().unwrap(), runtime.join("micro"), "{home:?}");
            assert_eq!(mode(&runtime.join("micro")), 0o700);
        }
    }

    #[test]
    fn a_set_micro_home_never_falls_back() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        env.micro_home = Some("relative".into());
        assert_eq!(refusal(&env), "MICRO_HOME is `relative`, but must be an absolute path");
        env.micro_home = Some(Path::new(CLOSED).join("micro"));
        assert!(refusal(&env).starts_with("cannot write to `/proc/micro`"), "{}", refusal(&env));
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        let dir = temp.0.join("open");
        env.micro_home = Some(dir.clone());
        env.state_dir().unwrap();
        for open in [0o755, 0o710, 0o701, 0o1777] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(open)).unwrap();
            assert!(refusal(&env).contains("`chmod 700` it"), "{}", refusal(&env));
        }
    }

    #[test]
    fn a_symbolic_link_or_a_file_in_its_place_is_refused() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        let dir = temp.0.join("link");
        env.micro_home = Some(dir.clone());
        for target in [temp.0.clone(), temp.0.join("dangling")] {
            symlink(&target, &dir).unwrap();
            assert!(refusal(&env).contains("symbolic link"), "{}", refusal(&env));
            fs::remove_file(&dir).unwrap();
        }
        fs::write(&dir, "").unwrap();
        assert!(refusal(&env).contains("not a directory"), "{}", refusal(&env));
    }

    #[test]
    fn a_home_of_another_user_is_passed_over() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        let uid = fs::metadata(&temp.0).unwrap().uid();
        let home = temp.0.join("home");
        fs::create_dir(&home).unwrap();
        // Only root can give a directory away; everybody else has root's at hand.
        env.home = match chown(&home, Some(uid + 1), None) {
            Ok(()) => Some(home.clone()),
            Err(_) => Some("/".into()),
        };
        assert_eq!(env.state_dir().unwrap(), temp.0.join(format!("micro-{uid}")));
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "nothing was left there");
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        assert_eq!(check_owner(1000, 1000), Ok(()));
        let why = check_owner(1000, 0).unwrap_err();
        assert!(why.contains("belongs to user 1000, and this process runs as user 0"), "{why}");
    }

    #[test]
    fn many_first_runs_at_once_agree() {
        let temp = TempDir::new();
        let mut env = env(&temp);
        env.home = Some(temp.0.clone());
        let dirs = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| env.state_dir().unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(dirs.iter().all(|dir| dir == &dirs[0]));
    }
}
