//! Everything: the matrices behind the tables and charts of `docs/performance.md`.

use std::fs;

use anyhow::{Context, Result};

use crate::chart::{self, Bar};
use crate::gate::Verdict;
use crate::hello::{Build, Builds, Took};
use crate::probe::{Cell, Metric, Probe, Setup, size};
use crate::rounds::Results;
use crate::table::{figure, markdown};
use crate::workspace::{between_markers, project};

/// Who is measured: crate, variant, name for people.
type Peer = (&'static str, &'static str, &'static str);

/// Ours first: ratios are over the first.
const CALLS: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("ours", "quic-1452", "**micro**, MTU 1452"),
    ("ours", "tcp", "**micro**, TLS over TCP"),
    ("mux", "quic", "bare mux, QUIC"),
    ("mux", "tls", "bare mux, TLS"),
    ("mux", "tcp", "bare mux, TCP"),
    ("tonic", "tls", "tonic TLS"),
    ("tonic", "tls-wide", "tonic TLS, wide windows"),
    ("tonic", "plain", "tonic"),
    ("connect", "grpc-tls", "connect-rust gRPC TLS"),
    ("connect", "grpc", "connect-rust gRPC"),
    ("tarpc", "tcp", "tarpc"),
    ("irpc", "quic", "irpc QUIC"),
    ("volo", "mux", "volo-thrift, multiplexed"),
    ("volo", "pool", "volo-thrift, pool"),
    ("axum", "json", "axum JSON"),
    ("nats", "core", "NATS request-reply"),
    ("raw", "quic", "raw quinn, ping-pong"),
    ("raw", "quic-streams", "raw quinn, stream a call"),
    ("raw", "h2-tls", "bare h2 TLS"),
    ("raw", "h2", "bare h2"),
    ("raw", "tls", "raw TLS, ping-pong"),
    ("raw", "tcp", "raw TCP, ping-pong"),
];
const SIZES: [usize; 4] = [64, 1 << 10, 64 << 10, 1 << 20];
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

const TWO_CORES: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("mux", "quic", "bare mux, QUIC"),
    ("tonic", "tls", "tonic TLS"),
    ("connect", "grpc-tls", "connect-rust gRPC TLS"),
    ("tarpc", "tcp", "tarpc"),
    ("irpc", "quic", "irpc QUIC"),
    ("volo", "mux", "volo-thrift, multiplexed"),
];
/// Beside the same peers on a plain multi-thread runtime.
const OWN_RUNTIME: &[Peer] = &[("ours", "quic", "**micro**, `#[micro::main]`")];
const TWO_CORES_CELLS: [(usize, usize); 6] =
    [(64, 1), (64, 16), (64, 64), (64, 256), (64 << 10, 16), (1 << 20, 1)];

const STREAMS: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("ours", "quic-1452", "**micro**, MTU 1452"),
    ("mux", "quic", "bare mux, QUIC"),
    ("tonic", "tls", "tonic TLS"),
    ("tonic", "tls-wide", "tonic TLS, wide windows"),
    ("tonic", "plain", "tonic"),
];
const HANDSHAKES: &[Peer] = &[
    ("ours", "quic", "**micro** (registry, mutual TLS)"),
    ("mux", "quic", "bare QUIC"),
    ("mux", "tls", "bare TLS"),
    ("tonic", "tls", "tonic TLS"),
];
const MEMORY: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("mux", "quic", "bare mux, QUIC"),
    ("tonic", "tls", "tonic TLS"),
];
const FAN_OUT: &[Peer] = &[
    ("ours", "fanout", "**micro**, QUIC"),
    ("nats", "core", "nats-server, plaintext"),
    ("zenoh", "router-tcp", "zenoh router, plaintext"),
    ("zenoh", "router-quic", "zenoh router, QUIC"),
    ("zenoh", "peer-tcp", "zenoh peers, plaintext"),
    ("zenoh", "peer-quic", "zenoh peers, QUIC"),
];
const SUBSCRIBERS: [usize; 3] = [1, 10, 100];

/// All that is measured.
pub fn probes() -> Vec<Probe> {
    let of = |peers: &'static [Peer], cells: Vec<Cell>| {
        let probe = |(peer, variant, _): &Peer, cell| Probe { peer, variant, cell };
        cells.into_iter().flat_map(move |cell| peers.iter().map(move |peer| probe(peer, cell)))
    };
    of(CALLS, calls())
        .chain(of(TWO_CORES, two_cores(Setup::Free)))
        .chain(of(TWO_CORES, two_cores(Setup::FreeMulti)))
        .chain(of(OWN_RUNTIME, two_cores(Setup::FreeOwn)))
        .chain(of(STREAMS, cells("stream", &[1 << 10, 64 << 10], &[1])))
        .chain(of(HANDSHAKES, cells("handshakes", &[64], &[1, 16])))
        .chain(of(MEMORY, memory()))
        .chain(of(FAN_OUT, cells("fanout", &[64, 1 << 10], &SUBSCRIBERS)))
        .collect()
}

fn cells(mode: &'static str, sizes: &[usize], in_flight: &[usize]) -> Vec<Cell> {
    let cell = |size, in_flight| Cell { mode, size, in_flight, setup: Setup::OneCore };
    sizes.iter().flat_map(|&size| in_flight.iter().map(move |&n| cell(size, n))).collect()
}

fn calls() -> Vec<Cell> {
    cells("calls", &SIZES, &IN_FLIGHT)
}

fn two_cores(setup: Setup) -> Vec<Cell> {
    let cell = |(size, in_flight)| Cell { mode: "calls", size, in_flight, setup };
    TWO_CORES_CELLS.into_iter().map(cell).collect()
}

fn memory() -> Vec<Cell> {
    [cells("idle", &[64], &[150]), cells("hold", &[64], &[4_000])].concat()
}

/// The tables, each with the name of its markers.
pub fn tables(
    results: &Results,
    verdicts: &[Verdict],
    builds: Option<&Builds>,
) -> Vec<(&'static str, String)> {
    let of = |peers: &[Peer], cells: &[Cell], metric, scale| {
        let value = |probe: &Probe| results.median(probe, metric).map(|value| value / scale);
        matrix(peers, cells, |probe| figure(value(probe)))
    };
    let ratio = |probe: &Probe| {
        let first = Probe { peer: CALLS[0].0, variant: CALLS[0].1, ..*probe };
        let series = |probe| results.series(probe, Metric::PerSecond);
        let ratios = crate::stats::ratios(&series(&first), &series(probe));
        figure(crate::stats::median(&ratios))
    };
    let all = calls();
    let memory = memory();
    let own = of(OWN_RUNTIME, &two_cores(Setup::FreeOwn), Metric::PerSecond, 1.0);
    let multi = of(TWO_CORES, &two_cores(Setup::FreeMulti), Metric::PerSecond, 1.0);
    vec![
        ("gate", gate(verdicts)),
        ("calls", of(CALLS, &all, Metric::PerSecond, 1.0)),
        ("ratios", matrix(CALLS, &all, ratio)),
        ("p50", of(CALLS, &all, Metric::P50, 1.0)),
        ("p99", of(CALLS, &all, Metric::P99, 1.0)),
        ("server-cpu", of(CALLS, &all, Metric::ServerCpu, 1.0)),
        ("client-cpu", of(CALLS, &all, Metric::ClientCpu, 1.0)),
        ("two-cores", of(TWO_CORES, &two_cores(Setup::Free), Metric::PerSecond, 1.0)),
        ("two-cores-own", own),
        ("two-cores-multi", multi),
        (
            "streams",
            of(STREAMS, &cells("stream", &[1 << 10, 64 << 10], &[1]), Metric::PerSecond, 1.0),
        ),
        ("handshakes", of(HANDSHAKES, &cells("handshakes", &[64], &[1, 16]), Metric::P50, 1.0)),
        ("memory", of(MEMORY, &memory, Metric::BytesEach, 1.0)),
        (
            "fan-out",
            of(FAN_OUT, &cells("fanout", &[64, 1 << 10], &SUBSCRIBERS), Metric::PerSecond, 1.0),
        ),
        ("builds", builds.map_or_else(|| "not measured".into(), build_table)),
    ]
}

/// A row for each peer, a column for each cell.
fn matrix(peers: &[Peer], cells: &[Cell], value: impl Fn(&Probe) -> String) -> String {
    let column = |cell: &Cell| format!("{} x {}", size(cell.size), cell.in_flight);
    let head: Vec<_> = std::iter::once(String::new()).chain(cells.iter().map(column)).collect();
    let row = |(peer, variant, name): &Peer| {
        let values = cells.iter().map(|&cell| value(&Probe { peer, variant, cell }));
        std::iter::once((*name).to_owned()).chain(values).collect()
    };
    let rows: Vec<Vec<String>> = peers.iter().map(row).collect();
    markdown(&head, &rows)
}

fn gate(verdicts: &[Verdict]) -> String {
    let row = |verdict: &Verdict| {
        let (ratio, goal) = verdict.figures();
        let reason = verdict.reason.as_deref().unwrap_or("");
        let status = if reason.is_empty() { verdict.status() } else { "missing" };
        let bound = if verdict.at_most { "at most" } else { "at least" };
        let bound = format!("{bound} {}", verdict.bound);
        vec![verdict.cell.clone(), verdict.peer.clone(), ratio, bound, goal, status.to_owned()]
    };
    let head = ["cell", "peer", "measured", "promise", "goal", ""].map(str::to_owned);
    markdown(&head, &verdicts.iter().map(row).collect::<Vec<_>>())
}

fn build_table(builds: &Builds) -> String {
    let took = |took: Took| format!("{:.1} ({:.1})", took.seconds, took.cpu);
    let row = |name: &str, build: Build| {
        vec![name.to_owned(), build.packages.to_string(), took(build.cold), took(build.warm)]
    };
    let head = ["", "packages", "cold, s (CPU s)", "after a change, s (CPU s)"].map(str::to_owned);
    let rows = [row("micro hello", builds.ours), row("tonic hello", builds.tonic)];
    markdown(&head, &rows)
}

/// Writes tables and charts into `docs/`.
pub fn write(tables: &[(&'static str, String)], results: &Results) -> Result<()> {
    let docs = project()?.join("docs");
    let path = docs.join("performance.md");
    let mut text = fs::read_to_string(&path).context("docs/performance.md")?;
    for (name, table) in tables {
        text = between_markers(&text, name, table)?;
    }
    fs::write(&path, text)?;
    eprintln!("wrote {}", path.display());
    for (name, svg) in charts(results) {
        let path = docs.join(format!("performance-{name}.svg"));
        fs::write(&path, svg)?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn charts(results: &Results) -> Vec<(&'static str, String)> {
    let chart = |title: &str, below: &str, peers: &[Peer], cell| {
        let bar = |(peer, variant, label): &Peer| {
            let value = results.median(&Probe { peer, variant, cell }, Metric::PerSecond)?;
            Some(Bar { label: label.replace("**", ""), value, ours: *peer == "ours" })
        };
        chart::bars(title, below, &peers.iter().filter_map(bar).collect::<Vec<_>>())
    };
    let cell = |mode, size, in_flight| Cell { mode, size, in_flight, setup: Setup::OneCore };
    let below = "client and server share one core; more is better";
    let small = "Calls per second, 64 B, 64 in flight";
    let large = "Calls per second, 1 MiB, one at a time";
    let fan_out = "Deliveries per second, 64 B, one publisher to 100 subscribers";
    vec![
        ("small", chart(small, below, CALLS, cell("calls", 64, 64))),
        ("large", chart(large, below, CALLS, cell("calls", 1 << 20, 1))),
        ("fan-out", chart(fan_out, below, FAN_OUT, cell("fanout", 64, 100))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_markers() {
        let text = fs::read_to_string(project().unwrap().join("docs/performance.md")).unwrap();
        for (name, table) in tables(&Results::default(), &[], None) {
            assert!(between_markers(&text, name, &table).is_ok(), "no markers for `{name}`");
        }
    }

    #[test]
    fn a_matrix_has_a_row_for_each_peer() {
        let table = matrix(MEMORY, &memory(), |probe| probe.variant.to_owned());
        assert_eq!(table.lines().count(), 2 + MEMORY.len());
        assert!(table.contains("| bare mux, QUIC |"), "{table}");
    }
}
