//! What is promised, shown by processes of their own over real sockets.

mod calls;
mod discovery;
mod drain;
mod environment;
mod events;
mod examples;
mod kill;
mod load;
mod refused;
mod start;
mod streams;
mod transports;
mod trust;

use std::collections::BTreeMap;

use micro_tests::process::{Home, Process, Program};

/// The fixture with some of its services.
fn fixture(home: &Home, services: &str) -> Program {
    home.program(env!("CARGO_BIN_EXE_fixture")).args(["--services", services])
}

/// The fixture, once it listens.
async fn serve(home: &Home, services: &str) -> Process {
    fixture(home, services).serve().await
}

/// How often each line beginning with `word` is among the lines: by the number behind it.
fn counts<'a>(lines: impl IntoIterator<Item = &'a String>, word: &str) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        if let Some(rest) = line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) {
            *counts.entry(rest.parse().expect("a number")).or_default() += 1;
        }
    }
    counts
}
