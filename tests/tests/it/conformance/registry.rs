//! The registries that are built in, against the suite.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use micro_core::id::Id;
use micro_core::registry::{LocalRegistry, MdnsOptions, MdnsRegistry, MemoryRegistry};
use micro_tests::conformance::registry::Fixture;
use micro_tests::registry_conformance;

registry_conformance!(memory: memory());
registry_conformance!(local: local());
registry_conformance!(mdns: mdns());

fn memory() -> Fixture {
    let registry = MemoryRegistry::new();
    Fixture::new(move || Arc::new(registry.clone()))
}

fn local() -> Fixture {
    let directory = Directory(std::env::temp_dir().join(format!("micro-{}", Id::random())));
    let path = directory.0.clone();
    let open = move || LocalRegistry::open(&path).expect("a directory of our own");
    Fixture::new(move || Arc::new(open())).keeping(directory)
}

/// Over the loopback interface, on a port of its own, so that tests do not hear each other.
fn mdns() -> Fixture {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = free.local_addr().expect("bound").port();
    Fixture::new(move || {
        let options = MdnsOptions { loopback_only: true, port };
        Arc::new(MdnsRegistry::open(options).expect("multicast on the loopback interface"))
    })
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
