//! One authority per user, whoever comes first and whatever became of its file.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;
use crate::home::tests::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::now()
}

/// Whether a leaf of `issuer` is accepted by who knows only the stored certificate of `judge`.
fn accepts(judge: &DevCa, issuer: &DevCa, at: SystemTime) -> bool {
    let leaf = issuer.identity_at("orders", at).unwrap();
    let at = UnixTime::since_unix_epoch(since_1970(at));
    [Role::Client, Role::Server]
        .map(|role| verify::check_peer(leaf.chain(), role, at, &judge.bundle, &judge.domain))
        .iter()
        .all(Result::is_ok)
}

#[test]
fn a_later_run_is_the_same_authority() {
    let dir = TempDir::new();
    let first = DevCa::open(&dir.0).unwrap();
    let later = DevCa::open_at(&dir.0, now() + 1000 * DAY).unwrap();
    assert_eq!(first.domain, later.domain);
    assert!(accepts(&first, &later, now() + 1000 * DAY));
    assert!(accepts(&later, &first, now()));
}

#[test]
fn each_user_has_a_domain_of_their_own() {
    let (a, b) = (TempDir::new(), TempDir::new());
    let (a, b) = (DevCa::open(&a.0).unwrap(), DevCa::open(&b.0).unwrap());
    assert_ne!(a.domain, b.domain);
    let hex = a.domain.strip_prefix("dev-").unwrap().strip_suffix(".local").unwrap();
    assert!(hex.len() == 12 && hex.bytes().all(|b| b.is_ascii_hexdigit()), "{hex}");
    assert!(!accepts(&a, &b, now()));
}

#[test]
fn many_first_runs_at_once_make_one_authority() {
    let dir = TempDir::new();
    let domains: HashSet<String> = thread::scope(|scope| {
        let open = || DevCa::open(&dir.0).unwrap().domain;
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(domains.len(), 1);
    let mut left: Vec<_> = fs::read_dir(dir.0.join("dev-ca")).unwrap().collect();
    left.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
    let left: Vec<_> = left.into_iter().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["ca", "lock"]);
}

const CHILD_DIR: &str = "MICRO_TEST_DEV_CA";

/// The other processes of the next test.
#[test]
#[ignore = "needs a directory from the test below, which runs it in processes of its own"]
fn one_of_many_processes() {
    let dir = PathBuf::from(std::env::var_os(CHILD_DIR).expect("set by the parent"));
    let ca = DevCa::open(&dir).unwrap();
    let leaf = ca.identity("orders").unwrap();
    fs::write(dir.join(std::process::id().to_string()), &leaf.chain()[0]).unwrap();
}

#[test]
fn the_first_runs_of_many_processes_make_one_authority() {
    let dir = TempDir::new();
    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "identity::dev::tests::one_of_many_processes"])
            .env(CHILD_DIR, &dir.0)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..6).map(|_| child()).collect();
    let leaves: Vec<_> = children
        .into_iter()
        .map(|mut child| {
            assert!(child.wait().unwrap().success());
            CertificateDer::from(fs::read(dir.0.join(child.id().to_string())).unwrap())
        })
        .collect();
    let ca = DevCa::open(&dir.0).unwrap();
    for leaf in leaves {
        let at = UnixTime::since_unix_epoch(since_1970(now()));
        verify::check_peer(&[leaf], Role::Client, at, &ca.bundle, &ca.domain).unwrap();
    }
}

#[test]
fn a_leaf_is_kept_until_seventy_percent_of_its_life_is_over() {
    let dir = TempDir::new();
    let ca = DevCa::open(&dir.0).unwrap();
    let start = now();
    let first = ca.identity_at("orders", start).unwrap();
    let same = |at| Arc::ptr_eq(&first, &ca.identity_at("orders", at).unwrap());
    assert!(same(start) && same(start + 20 * DAY));
    assert!(!same(start + 22 * DAY), "renewed");
    assert!(accepts(&ca, &ca, start + 22 * DAY));
}

#[test]
fn a_clock_that_is_set_back_renews_too() {
    let dir = TempDir::new();
    let ca = DevCa::open(&dir.0).unwrap();
    let ahead = ca.identity_at("orders", now() + 20 * DAY).unwrap();
    assert!(!Arc::ptr_eq(&ahead, &ca.identity_at("orders", now()).unwrap()));
    assert!(accepts(&ca, &ca, now()));
}

#[test]
fn no_leaf_outlives_the_authority_and_an_expired_one_says_so() {
    let dir = TempDir::new();
    let start = now();
    let ca = DevCa::open_at(&dir.0, start).unwrap();
    let near = start + CA_LIFE - DAY;
    let leaf = ca.identity_at("orders", near).unwrap();
    let after = UnixTime::since_unix_epoch(since_1970(start + CA_LIFE + DAY / 2));
    let refused = verify::check_peer(leaf.chain(), Role::Server, after, &ca.bundle, &ca.domain);
    assert_eq!(refused.unwrap_err().to_string(), "the peer's certificate expired 12 hours ago");
    for error in [
        ca.identity_at("catalog", start + CA_LIFE + DAY).unwrap_err(),
        DevCa::open_at(&dir.0, start + CA_LIFE + DAY).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains(dir.0.to_str().unwrap()) && text.contains("expired"), "{text}");
        assert!(text.contains("delete that directory"), "{text}");
    }
}

#[test]
fn a_damaged_or_exposed_file_is_never_replaced() {
    let dir = TempDir::new();
    let path = dir.0.join("dev-ca/ca");
    DevCa::open(&dir.0).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = DevCa::open(&dir.0).unwrap_err();
    assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), whole[..whole.len() / 2]);
    fs::write(&path, &whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = DevCa::open(&dir.0).unwrap_err();
    assert!(matches!(error, IdentityError::Exposed { .. }), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    DevCa::open(&dir.0).unwrap();
}

#[test]
fn a_key_of_another_authority_is_noticed() {
    let (a, b) = (TempDir::new(), TempDir::new());
    for dir in [&a, &b] {
        DevCa::open(&dir.0).unwrap();
    }
    let mut mixed = Stored::read(&a.0.join("dev-ca/ca")).unwrap().unwrap();
    mixed.key = Stored::read(&b.0.join("dev-ca/ca")).unwrap().unwrap().key;
    mixed.write(&a.0.join("dev-ca/ca")).unwrap();
    let error = DevCa::open(&a.0).unwrap_err().to_string();
    assert!(error.contains("its key does not match its certificate"), "{error}");
}

#[test]
fn a_clock_that_is_absurd_is_survived() {
    let dir = TempDir::new();
    for at in [UNIX_EPOCH, UNIX_EPOCH - DAY, UNIX_EPOCH + 40_000 * 365 * DAY] {
        let dir = dir.0.join(format!("{at:?}").replace(|c: char| !c.is_alphanumeric(), ""));
        let _ = DevCa::open_at(&dir, at);
    }
}

#[test]
fn neither_keys_nor_names_beyond_the_rules_get_out() {
    let dir = TempDir::new();
    let ca = DevCa::open(&dir.0).unwrap();
    let debug = format!("{ca:?} {:?}", ca.identity("orders").unwrap());
    assert!(debug.contains(&format!("spiffe://{}/orders", ca.domain)), "{debug}");
    assert!(debug.len() < 400, "{debug}");
    for name in ["", "Orders", "a/b", "..", "x\0"] {
        assert!(matches!(ca.identity(name), Err(IdentityError::Name { .. })), "{name:?}");
    }
}

#[test]
fn a_lock_that_is_never_given_back_is_an_error_and_a_late_one_is_taken() {
    let dir = TempDir::new();
    let path = dir.0.join("lock");
    let held = exclusive(&path, LOCK_WAIT).unwrap();
    let error = exclusive(&path, Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, IdentityError::Busy { .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let waiting = thread::spawn(move || exclusive(&path, LOCK_WAIT).map(drop));
    drop(held);
    waiting.join().unwrap().unwrap();
}
