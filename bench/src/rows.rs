//! The rows of the gate: what micro promises, as data.

use crate::probe::{Metric, Probe, Setup};

/// One promise.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is measured, for people.
    pub cell: String,
    /// Against whom, for people.
    pub peer: &'static str,
    /// Ours: one, or several of which the better counts.
    pub ours: Vec<Probe>,
    /// Theirs: the better of them counts. None: the figure itself is judged.
    pub theirs: Vec<Probe>,
    /// Which figure.
    pub metric: Metric,
    /// The ratio (or figure) that decides: at least this where more is better, else at most.
    pub bound: f64,
    /// Where we want to be.
    pub goal: f64,
    /// What a figure without a peer is divided by and called.
    pub unit: Option<(f64, &'static str)>,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Most peers are best with their defaults on small calls, and with wide windows on bulk: the faster of
/// the two counts.
const TONIC_TLS: [&str; 2] = ["tls", "tls-wide"];

fn tonic(of: impl Fn(&'static str) -> Probe) -> Vec<Probe> {
    TONIC_TLS.into_iter().map(of).collect()
}

fn row(
    cell: &str,
    peer: &'static str,
    ours: Probe,
    theirs: Vec<Probe>,
    metric: Metric,
    bound: f64,
    goal: f64,
) -> Row {
    Row { cell: cell.into(), peer, ours: vec![ours], theirs, metric, bound, goal, unit: None }
}

/// All rows but those of the build.
pub fn rows() -> Vec<Row> {
    [small(), bulk(), streams(), runtimes(), memory(), fan_out(), tcp()].concat()
}

fn small() -> Vec<Row> {
    use Metric::{P50, PerSecond};
    let ours = |in_flight| Probe::calls("ours", "quic", 64, in_flight);
    let against = |peer, variant, in_flight, label, bound, goal| {
        let theirs = vec![Probe::calls(peer, variant, 64, in_flight)];
        let cell = format!("64 B x {in_flight}");
        row(&cell, label, ours(in_flight), theirs, PerSecond, bound, goal)
    };
    let mut rows = vec![
        against("tonic", "tls", 64, "tonic TLS", 10.0, 12.0),
        against("connect", "grpc-tls", 64, "connect-rust TLS", 9.0, 11.0),
        against("tarpc", "tcp", 64, "tarpc plaintext", 2.0, 2.5),
        against("irpc", "quic", 64, "irpc", 2.5, 3.0),
        against("raw", "h2-tls", 64, "bare h2 TLS, no codec", 3.0, 3.8),
        against("mux", "quic", 64, "bare mux", 0.8, 0.9),
        against("tonic", "tls", 256, "tonic TLS", 15.0, 18.0),
        against("connect", "grpc-tls", 256, "connect-rust TLS", 13.0, 16.0),
        against("tarpc", "tcp", 256, "tarpc plaintext", 2.8, 3.5),
        against("irpc", "quic", 256, "irpc", 3.0, 3.6),
        against("tonic", "tls", 1, "tonic TLS", 1.9, 2.0),
    ];
    let raw = vec![Probe::calls("raw", "quic", 64, 1)];
    rows.push(row("64 B x 1, round trip", "raw quinn ping-pong", ours(1), raw, P50, 1.1, 1.05));
    rows
}

fn bulk() -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, in_flight, mtu, bound, goal) in [
        (KIB, 64, "quic-1452", 5.0, 6.0),
        (KIB, 64, "quic", 8.0, 9.5),
        (64 * KIB, 1, "quic", 1.3, 1.5),
        (MIB, 1, "quic", 1.2, 1.4),
        (64 * KIB, 1, "quic-1452", 0.75, 0.95),
        (MIB, 1, "quic-1452", 0.7, 0.76),
    ] {
        let largest = if mtu == "quic" { 6500 } else { 1452 };
        let cell = format!("{} x {in_flight}, MTU {largest}", crate::probe::size(size));
        let ours = Probe::calls("ours", mtu, size, in_flight);
        let theirs = tonic(|variant| Probe::calls("tonic", variant, size, in_flight));
        rows.push(row(&cell, "tonic TLS", ours, theirs, Metric::PerSecond, bound, goal));
    }
    rows
}

fn streams() -> Vec<Row> {
    let items = |peer, variant| Probe::of(peer, variant, "stream", KIB, 1);
    let beside = |peer, variant| Probe::of(peer, variant, "beside", 64, 2);
    let theirs = tonic(|variant| items("tonic", variant));
    let lane = vec![beside("mux", "one-lane")];
    let cell = "small call beside 2 of 1 MiB, p50";
    vec![
        row(
            "stream 1 KiB",
            "tonic TLS",
            items("ours", "quic"),
            theirs,
            Metric::PerSecond,
            1.1,
            1.35,
        ),
        row(cell, "all on one lane", beside("ours", "quic"), lane, Metric::P50, 0.5, 0.5),
    ]
}

fn runtimes() -> Vec<Row> {
    // `#[micro::main]` is what users have.
    let ours = Probe::calls("ours", "quic", 64, 64).on(Setup::FreeOwn);
    let tonic = Probe::calls("tonic", "tls", 64, 64);
    let theirs = vec![tonic.on(Setup::FreeMulti), tonic.on(Setup::Free)];
    vec![row("64 B x 64, multi-thread", "tonic TLS", ours, theirs, Metric::PerSecond, 3.0, 4.0)]
}

fn memory() -> Vec<Row> {
    let absolute = |cell: &str, probe, bound, goal, unit| Row {
        unit: Some(unit),
        ..row(cell, "-", probe, Vec::new(), Metric::BytesEach, bound, goal)
    };
    let idle = Probe::of("ours", "quic", "idle", 64, 150);
    let hold = Probe::of("ours", "quic", "hold", 64, 4_000);
    vec![
        absolute("idle connection", idle, 45.0, 40.0, (1024.0, "KiB")),
        absolute("in-flight idle call", hold, 640.0, 512.0, (1.0, "B")),
    ]
}

fn fan_out() -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, bound, goal) in [(64, 0.9, 1.3), (KIB, 0.8, 1.4)] {
        let probe = |peer, variant| Probe::of(peer, variant, "fanout", size, 100);
        let cell = format!("fan-out {} to 100", crate::probe::size(size));
        let ours = probe("ours", "fanout");
        let against = |label, theirs, bound, goal| {
            row(&cell, label, ours, vec![theirs], Metric::PerSecond, bound, goal)
        };
        rows.push(against("nats-server plaintext", probe("nats", "core"), bound, goal));
        rows.push(against("zenoh over QUIC", probe("zenoh", "router-quic"), 2.0, 2.0));
    }
    rows
}

fn tcp() -> Vec<Row> {
    let ours = |size| Probe::calls("ours", "tcp", size, 1);
    let tls = vec![Probe::calls("raw", "tls", 64, 1)];
    let volo = vec![Probe::calls("volo", "mux", MIB, 1)];
    let mut rows = vec![
        row("tcp 64 B x 1, round trip", "raw TLS ping-pong", ours(64), tls, Metric::P50, 1.3, 1.15),
        row("tcp 1 MiB x 1", "volo-thrift", ours(MIB), volo, Metric::PerSecond, 0.6, 0.9),
    ];
    // A stall of Nagle's algorithm is 40 ms and meets some sizes only.
    for (variant, size) in [
        ("quic", 64),
        ("quic", 64 * KIB),
        ("quic", MIB),
        ("tcp", 64),
        ("tcp", 64 * KIB),
        ("tcp", MIB),
    ] {
        let probe = Probe::calls("ours", variant, size, 1);
        let cell = format!("no stall: {variant} {} x 1, p99", crate::probe::size(size));
        let row = row(&cell, "-", probe, Vec::new(), Metric::P99, 20.0, 10.0);
        rows.push(Row { unit: Some((1000.0, "ms")), ..row });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_beyond_bounds() {
        for row in rows() {
            let beyond = if row.metric.more_is_better() {
                row.goal >= row.bound
            } else {
                row.goal <= row.bound
            };
            assert!(beyond, "{} {}", row.cell, row.peer);
        }
    }

    #[test]
    fn both_sides_of_a_row_run_the_same_load() {
        for row in rows() {
            for (ours, theirs) in
                row.ours.iter().flat_map(|o| row.theirs.iter().map(move |t| (o, t)))
            {
                let (ours, theirs) = (ours.cell, theirs.cell);
                assert_eq!(
                    (ours.mode, ours.size, ours.in_flight),
                    (theirs.mode, theirs.size, theirs.in_flight)
                );
            }
        }
    }

    #[test]
    fn no_row_comes_twice() {
        let rows = rows();
        let names: std::collections::HashSet<_> =
            rows.iter().map(|row| (&row.cell, row.peer)).collect();
        assert_eq!(names.len(), rows.len());
    }
}
