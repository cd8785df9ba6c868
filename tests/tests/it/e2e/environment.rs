//! Where processes find themselves: no home, another user, small buffers, neighbours.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use micro_tests::process::{Home, Process, Program};

use super::{fixture, serve};

const NOBODY: u32 = 65_534;

/// The users that this process can start others as; the first is itself.
fn users() -> Vec<u32> {
    let us = fs::metadata("/proc/self").expect("procfs").uid();
    if us == 0 { vec![0, NOBODY] } else { vec![us] }
}

/// A place for one user, who finds the programs there.
struct Place {
    directory: Home,
    user: u32,
}

impl Place {
    fn of(user: u32) -> Self {
        let directory = Home::new();
        for program in [env!("CARGO_BIN_EXE_fixture"), env!("CARGO_BIN_EXE_caller")] {
            let name = Path::new(program).file_name().expect("a name");
            // The build's own directory may be closed to others.
            fs::copy(program, directory.path().join(name)).expect("a copy");
        }
        chown(directory.path(), Some(user), Some(user)).expect("a directory of that user");
        Self { directory, user }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A program without MICRO_HOME and HOME, whose temporary files go here.
    fn program(&self, name: &str) -> Program {
        let program = Program::new(self.path().join(name), self.path());
        program.env("TMPDIR", self.path()).user(self.user)
    }

    /// Where state goes when there is no home.
    fn fallback(&self) -> PathBuf {
        self.path().join(format!("micro-{}", self.user))
    }

    /// Starts a service and a caller, which must find it, and checks where they met.
    async fn works(&self, change: impl Fn(Program) -> Program, state: &Path) {
        let service = change(self.program("fixture")).args(["--services", "counter"]);
        let service = service.serve().await;
        let caller = change(self.program("caller")).finish().await;
        assert_eq!(caller.code(), Some(0), "{caller:#?}");
        assert_eq!(caller.out, [format!("pid {}", service.pid())]);
        let metadata = fs::metadata(state).expect("the state is where it belongs");
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (self.user, 0o700), "{state:?}");
        let key = fs::metadata(state.join("dev-ca/ca")).expect("the development CA");
        assert_eq!((key.uid(), key.mode() & 0o777), (self.user, 0o600));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn works_with_home_unset_whoever_runs_it() {
    for user in users() {
        let place = Place::of(user);
        place.works(|program| program, &place.fallback()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn works_with_a_home_that_is_missing() {
    for user in users() {
        let place = Place::of(user);
        let missing = place.path().join("missing");
        place.works(|program| program.env("HOME", &missing), &place.fallback()).await;
        assert!(!missing.exists(), "nobody asked for a home");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn works_with_a_home_that_cannot_be_written_to() {
    for user in users() {
        let place = Place::of(user);
        // Permissions do not hold root back, but nobody makes files in procfs.
        place.works(|program| program.env("HOME", "/proc"), &place.fallback()).await;
        if user != 0 {
            let closed = place.path().join("closed");
            fs::create_dir(&closed).expect("a directory");
            chown(&closed, Some(user), Some(user)).expect("of that user");
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).expect("closed");
            place.works(|program| program.env("HOME", &closed), &place.fallback()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn works_with_a_home_of_ones_own() {
    for user in users() {
        let place = Place::of(user);
        let state = place.path().join(".local/state/micro");
        place.works(|program| program.env("HOME", place.path()), &state).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_another_user_are_not_found() {
    let [us, other] = users()[..] else {
        // Only root can start a process as somebody else; then there is nothing to see.
        return;
    };
    let (ours, theirs) = (Place::of(us), Place::of(other));
    let _service = ours.program("fixture").args(["--services", "counter"]).serve().await;
    let caller = theirs.program("caller").finish().await;
    assert_eq!(caller.code(), Some(1), "{caller:#?}");
    assert!(caller.errors().contains("no instance of `counter`"), "{caller:#?}");
    // Nor may it be told where to look.
    let caller = theirs.program("caller").env("MICRO_HOME", ours.fallback()).finish().await;
    assert_eq!(caller.code(), Some(78), "{caller:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_homes_side_by_side_do_not_see_each_other() {
    let (one, other) = (Home::new(), Home::new());
    let caller = |home: &Home| home.program(env!("CARGO_BIN_EXE_caller")).finish();
    let in_one = serve(&one, "counter").await;
    let alone = caller(&other).await;
    assert_eq!(alone.code(), Some(1), "{alone:#?}");
    let in_other = serve(&other, "counter").await;
    for (home, service) in [(&one, &in_one), (&other, &in_other)] {
        for _ in 0..3 {
            assert_eq!(caller(home).await.out, [format!("pid {}", service.pid())]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_runs_at_the_same_time_agree_on_one_ca() {
    let home = Home::new();
    let services: Vec<Process> = (0..8).map(|_| fixture(&home, "counter").start()).collect();
    for service in &services {
        service.listening().await;
    }
    // Each in turn is the only one that is left to answer.
    for service in services {
        let caller = home.program(env!("CARGO_BIN_EXE_caller")).finish().await;
        assert_eq!(caller.code(), Some(0), "{caller:#?}");
        service.terminate();
        assert_eq!(service.finished().await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_neither_ipv6_nor_multicast() {
    let home = Home::new();
    let service = serve(&home, "counter,first").await;
    let caller = home.program(env!("CARGO_BIN_EXE_caller")).finish().await;
    assert_eq!(caller.code(), Some(0), "{caller:#?}");
    let address = service.listening().await;
    assert!(address.starts_with("127.0.0.1:"), "{address}");

    let own = sockets(&service);
    let ports = |table: &str| -> Vec<u16> {
        let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
        let rows = rows.filter(|row| own.iter().any(|inode| inode == row[9]));
        rows.map(|row| port(row[1])).collect()
    };
    assert_eq!(ports("udp6"), [0; 0], "no socket for IPv6");
    let udp = ports("udp");
    println!("UDP ports of the process: {udp:?}");
    assert!(udp.iter().any(|port| address.ends_with(&format!(":{port}"))));
    assert!(!udp.contains(&5353), "no multicast unless it is asked for");
    assert_eq!(ports("tcp"), [0; 0], "no other door");
}

/// The inodes of the sockets that a process holds.
fn sockets(process: &Process) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{}/fd", process.pid())).expect("our own process");
    let links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    let inode = |link: PathBuf| {
        let link = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(link.to_owned())
    };
    links.filter_map(inode).collect()
}

/// `0100007F:14E9` -> 5353
fn port(address: &str) -> u16 {
    let (_, port) = address.split_once(':').expect("an address and a port");
    u16::from_str_radix(port, 16).expect("a hexadecimal number")
}

#[tokio::test(flavor = "multi_thread")]
async fn warns_of_small_udp_buffers_exactly_when_they_are_small() {
    let largest = |name: &str| -> Option<usize> {
        fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?.trim().parse().ok()
    };
    let (Some(read), Some(write)) = (largest("rmem_max"), largest("wmem_max")) else {
        // The kernel does not say, in this container, what it grants.
        return;
    };
    let small = read.min(write) < 4 << 20;
    let home = Home::new();
    let service = serve(&home, "counter").await;
    service.terminate();
    let finished = service.finished().await;
    let warned = finished.errors().contains("small UDP buffers");
    println!("granted {read} and {write} bytes; warned: {warned}");
    assert_eq!(warned, small, "{finished:#?}");
}
