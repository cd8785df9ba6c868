//! Every transport against its suite.

use std::path::PathBuf;
use std::sync::Arc;

use micro_core::Outcome;
use micro_core::id::Id;
use micro_core::identity::DevCa;
use micro_core::transport::Connection;
use micro_core::transport::memory::Memory;
use micro_core::transport::quic::Quic;
use micro_core::transport::tcp::Tcp;
use micro_tests::conformance::transport::{Fixture, request};
use micro_tests::transport_conformance;

transport_conformance!(memory: memory());
transport_conformance!(quic: quic());
transport_conformance!(tcp: tcp());

fn memory() -> Fixture {
    Fixture::new(Memory::default())
}

fn quic() -> Fixture {
    let directory = Directory::new();
    let ca = DevCa::open(&directory.0).expect("a directory of our own");
    Fixture::new(Quic::new(Arc::new(ca), "friend", vec!["lab".into()])).keeping(directory)
}

fn tcp() -> Fixture {
    let directory = Directory::new();
    let ca = DevCa::open(&directory.0).expect("a directory of our own");
    Fixture::new(Tcp::new(Arc::new(ca), "friend", vec!["lab".into()])).keeping(directory)
}

/// Calls `echo` with a body of this size.
pub(crate) async fn call_echo(connection: &dyn Connection, size: usize) -> Outcome {
    connection.call(&request("echo", vec![1; size])).await
}

/// A directory that is removed in the end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("micro-{}", Id::random())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
