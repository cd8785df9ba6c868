use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::name::{OwnerToken, RecordName};
use super::*;
use crate::id::Id;
use crate::registry::{InstanceId, Update};

/// A directory of its own for each test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("micro-registry-{}", Id::random()));
        fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }

    fn registry(&self) -> LocalRegistry {
        LocalRegistry::open(self.0.join("registry")).expect("a directory of our own")
    }

    fn path(&self) -> PathBuf {
        self.0.join("registry")
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("directory");
        entries.map(|e| e.expect("entry").file_name().into_string().expect("text")).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn instance(service: &str) -> Instance {
    Instance {
        id: InstanceId::random(),
        service: service.into(),
        version: 1,
        addresses: vec!["quic://127.0.0.1:4433".parse().expect("address")],
        metadata: Default::default(),
        subscriptions: Vec::new(),
    }
}

/// A record of `instance` that no living process owns.
fn orphan(instance: &Instance) -> RecordName {
    RecordName {
        service: instance.service.clone(),
        id: instance.id.clone(),
        owner: OwnerToken::new(),
        number: 1,
    }
}

const DIRECTORY: &str = "MICRO_TEST_REGISTRY";

/// Another process that holds a lease of `orders` in `directory`.
struct Other {
    process: Child,
    /// Open, so that it can write its last words.
    _output: ChildStdout,
}

fn other_process(directory: &Path) -> Other {
    let program = std::env::current_exe().expect("this program");
    let mut process = Command::new(program)
        .args(["--exact", "--ignored", "--nocapture", "registry::local::tests::hold_a_lease"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program runs");
    let mut output = BufReader::new(process.stdout.take().expect("piped"));
    let told =
        output.by_ref().lines().map_while(Result::ok).any(|line| line.contains("registered"));
    assert!(told, "the other process could not register");
    Other { process, _output: output.into_inner() }
}

impl Other {
    fn kill(&mut self) {
        self.process.kill().expect("SIGKILL");
        self.process.wait().expect("dead");
    }

    fn leave(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().expect("ended");
    }
}

#[tokio::test]
#[ignore = "what other tests run as their other process"]
async fn hold_a_lease() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let registry = LocalRegistry::open(directory).expect("directory");
    let _lease = registry.register(instance("orders")).await.expect("registered");
    println!("registered");
    // Until the other side kills us or goes away.
    let _ = std::io::stdin().lines().next();
}

#[tokio::test]
async fn a_killed_process_is_gone_at_the_next_lookup() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let mut other = other_process(&scratch.path());
    let mut updates = registry.watch(Some("orders")).await.expect("watch");
    let found = registry.lookup("orders").await.expect("lookup");
    assert_eq!(found.len(), 1);
    assert_eq!(updates.next().await, Some(Update::Reset(found.clone())));

    other.kill();
    assert_eq!(registry.lookup("orders").await.expect("lookup"), []);
    assert_eq!(scratch.files(), [""; 0], "nothing is left behind");
    assert_eq!(updates.next().await, Some(Update::Remove(found[0].id.clone())));
}

#[tokio::test]
async fn two_processes_see_each_other() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let _lease = registry.register(instance("orders")).await.expect("registered");
    let mut others = [other_process(&scratch.path()), other_process(&scratch.path())];
    assert_eq!(registry.lookup("orders").await.expect("lookup").len(), 3);
    // One leaves by itself, the other one dies.
    others[0].leave();
    assert_eq!(registry.list().await.expect("list").len(), 2);
    others[1].kill();
    assert_eq!(registry.list().await.expect("list").len(), 1);
}

#[tokio::test]
async fn a_released_registry_leaves_no_files() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let lease = registry.register(instance("orders")).await.expect("registered");
    assert_eq!(scratch.files().len(), 2);
    drop(registry);
    assert_eq!(scratch.registry().lookup("orders").await.expect("lookup").len(), 1);
    lease.release().await.expect("released");
    assert_eq!(scratch.files(), [""; 0]);
}

#[tokio::test]
async fn garbage_in_the_directory_breaks_nothing() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let kept = instance("orders");
    let lease = registry.register(kept.clone()).await.expect("registered");
    let own = scratch.files().into_iter().find(|f| f.ends_with(".json")).expect("a record");
    let like_own = RecordName::parse(&own).expect("a record");
    let write = |number: u32, content: &[u8]| {
        let id = InstanceId::random();
        let name = RecordName { id, number, ..like_own.clone() };
        fs::write(scratch.path().join(name.to_string()), content).expect("written");
    };
    write(10, b"");
    write(11, b"{");
    write(12, &b"[".repeat(4000));
    write(13, &vec![b' '; 10 << 20]);
    write(14, &kept.encode().expect("but under another id"));
    write(15, b"\xff\xfe\x00");
    fs::create_dir(scratch.path().join(format!("orders@a.{}.json", "0".repeat(39)))).expect("dir");
    fs::write(scratch.path().join("README"), "hello").expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = RecordName { number: 20, ..like_own.clone() };
        std::os::unix::fs::symlink("/dev/zero", scratch.path().join(name.to_string()))
            .expect("link");
        fs::write(scratch.path().join(std::ffi::OsStr::from_bytes(b"\xff.json")), "")
            .expect("file");
        let pipe = RecordName { number: 21, ..like_own.clone() };
        let made = Command::new("mkfifo").arg(scratch.path().join(pipe.to_string())).status();
        assert!(made.is_ok_and(|status| status.success()));
    }
    let just = [kept];
    for _ in 0..3 {
        assert_eq!(registry.lookup("orders").await.expect("lookup"), just);
        assert_eq!(registry.list().await.expect("list"), just);
    }
    assert_eq!(registry.0.reader.ignored(), 6, "each is read once");
    lease.release().await.expect("released");
    assert_eq!(registry.list().await.expect("list"), []);
}

#[tokio::test]
async fn records_without_an_owner_are_removed_and_those_in_the_making_are_not() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let dead = instance("orders");
    let record = scratch.path().join(orphan(&dead).to_string());
    fs::write(&record, dead.encode().expect("valid")).expect("written");
    let young = scratch.path().join(OwnerToken::new().lock_name());
    File::create(&young).expect("created");
    let old = scratch.path().join(OwnerToken::new().lock_name());
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    File::create(&old).expect("created").set_modified(long_ago).expect("set");
    assert_eq!(registry.list().await.expect("list"), []);
    assert!(!record.exists() && !old.exists() && young.exists());
}

#[tokio::test]
async fn of_two_records_of_one_instance_the_later_counts() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.registry(), scratch.registry());
    let one = instance("orders");
    let two = Instance { version: 2, ..one.clone() };
    let _first = first.register(one.clone()).await.expect("registered");
    let later = second.register(two.clone()).await.expect("registered");
    assert_eq!(first.lookup("orders").await.expect("lookup"), [two]);
    drop(later);
    assert_eq!(second.lookup("orders").await.expect("lookup"), [one]);
}

#[tokio::test]
async fn a_cleared_directory_is_filled_again() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let kept = instance("orders");
    let lease = registry.register(kept.clone()).await.expect("registered");
    let mut updates = registry.watch(Some("orders")).await.expect("watch");
    assert_eq!(updates.next().await, Some(Update::Reset(vec![kept.clone()])));
    fs::remove_dir_all(scratch.path()).expect("removed");
    assert!(matches!(
        registry.lookup("orders").await,
        Err(RegistryError::Unavailable { source: Some(_), .. })
    ));
    let more = registry.register(instance("other")).await.expect("makes the directory again");
    let owner = lock(&registry.0.owner).clone().expect("registered");
    tokio::task::spawn_blocking(move || owner.restore()).await.expect("ran").expect("restored");
    assert_eq!(registry.lookup("orders").await.expect("lookup"), [kept]);
    drop((lease, more));
    assert_eq!(registry.list().await.expect("list"), []);
}

#[tokio::test]
async fn an_outage_is_a_pause_and_then_a_reset() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let mut updates = registry.watch(None).await.expect("watch");
    assert_eq!(updates.next().await, Some(Update::Reset(Vec::new())));
    let aside = scratch.0.join("aside");
    fs::rename(scratch.path(), &aside).expect("moved");
    while !registry.0.outage.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    fs::rename(&aside, scratch.path()).expect("moved back");
    assert_eq!(updates.next().await, Some(Update::Reset(Vec::new())));
}

#[tokio::test]
async fn nobody_looks_when_nobody_watches() {
    let scratch = Scratch::new();
    let registry = scratch.registry();
    let updates = registry.watch(None).await.expect("watch");
    assert!(lock(&registry.0.watching).is_some());
    drop(updates);
    while lock(&registry.0.watching).is_some() {
        tokio::task::yield_now().await;
    }
    let _again = registry.watch(None).await.expect("watch");
    assert!(lock(&registry.0.watching).is_some());
}

fn refused(path: &Path) -> String {
    match LocalRegistry::open(path) {
        Err(RegistryError::Misconfigured { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.0.join("file");
    fs::write(&file, "").expect("written");
    assert!(refused(&file).contains("cannot be created"));
    assert!(refused(&file.join("below")).contains("cannot be created"));
    #[cfg(target_os = "linux")]
    assert!(refused(Path::new("/proc/self")).contains("registry directory"));
}

#[cfg(unix)]
#[test]
fn a_directory_of_the_wrong_mode_or_owner_is_refused() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    let scratch = Scratch::new();
    drop(scratch.registry());
    let set = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(scratch.path(), permissions).expect("ours");
    };
    assert_eq!(fs::metadata(scratch.path()).expect("made").mode() & 0o777, 0o700);
    for mode in [0o770, 0o702, 0o777, 0o1777] {
        set(mode);
        assert!(refused(&scratch.path()).contains("writable by others"), "{mode:o}");
    }
    for mode in [0o700, 0o750, 0o755] {
        set(mode);
        drop(scratch.registry());
    }
    let link = scratch.0.join("link");
    symlink(scratch.path(), &link).expect("link");
    assert!(refused(&link).contains("symbolic link"));
    assert!(refused(&link.join("")).contains("symbolic link"));
    assert!(refused(&link.join(".")).contains("symbolic link"));
    // Only root can give a directory away.
    if chown(scratch.path(), Some(12_345), None).is_ok() {
        assert!(refused(&scratch.path()).contains("belongs to user 12345"));
        assert_eq!(scratch.files(), [""; 0], "the probe is gone");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_this_user_only() {
    use std::os::unix::fs::MetadataExt;

    let scratch = Scratch::new();
    let registry = scratch.registry();
    let _lease = registry.register(instance("orders")).await.expect("registered");
    for file in scratch.files() {
        let metadata = fs::metadata(scratch.path().join(file)).expect("there");
        assert_eq!(metadata.mode() & 0o777, 0o600);
    }
}
