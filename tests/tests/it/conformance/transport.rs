//! Every transport against its suite.

use std::path::PathBuf;
use std::sync::Arc;

use micro_core::id::Id;
use micro_core::identity::DevCa;
use micro_core::transport::memory::Memory;
use micro_core::transport::quic::Quic;
use micro_tests::conformance::transport::Fixture;
use micro_tests::transport_conformance;

transport_conformance!(memory: memory());
transport_conformance!(quic: quic());

fn memory() -> Fixture {
    Fixture::new(Memory::default())
}

fn quic() -> Fixture {
    let directory = Directory::new();
    let ca = DevCa::open(&directory.0).expect("a directory of our own");
    Fixture::new(Quic::new(Arc::new(ca), "friend", vec!["lab".into()])).keeping(directory)
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
