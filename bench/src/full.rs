//! Everything: the matrices behind the tables and charts of `docs/performance.md`.

use crate::probe::{Cell, Probe, Setup};

/// Who is measured: crate, variant, name for people.
pub type Peer = (&'static str, &'static str, &'static str);

/// Ours first: ratios are over the first.
pub const CALLS: &[Peer] = &[
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
/// Bytes of all calls that are in flight.
const MOST_UNDER_WAY: usize = 64 << 20;

pub const TWO_CORES: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("mux", "quic", "bare mux, QUIC"),
    ("tonic", "tls", "tonic TLS"),
    ("connect", "grpc-tls", "connect-rust gRPC TLS"),
    ("tarpc", "tcp", "tarpc"),
    ("irpc", "quic", "irpc QUIC"),
    ("volo", "mux", "volo-thrift, multiplexed"),
];
/// Beside the same peers on a plain multi-thread runtime.
pub const OWN_RUNTIME: &[Peer] = &[("ours", "quic", "**micro**, `#[micro::main]`")];
const TWO_CORES_CELLS: [(usize, usize); 6] =
    [(64, 1), (64, 16), (64, 64), (64, 256), (64 << 10, 16), (1 << 20, 1)];

pub const STREAMS: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("ours", "quic-1452", "**micro**, MTU 1452"),
    ("mux", "quic", "bare mux, QUIC"),
    ("tonic", "tls", "tonic TLS"),
    ("tonic", "tls-wide", "tonic TLS, wide windows"),
    ("tonic", "plain", "tonic"),
];
pub const HANDSHAKES: &[Peer] = &[
    ("ours", "quic", "**micro** (registry, mutual TLS)"),
    ("mux", "quic", "bare QUIC"),
    ("mux", "tls", "bare TLS"),
    ("tonic", "tls", "tonic TLS"),
];
pub const MEMORY: &[Peer] = &[
    ("ours", "quic", "**micro**"),
    ("mux", "quic", "bare mux, QUIC"),
    ("tonic", "tls", "tonic TLS"),
];
pub const FAN_OUT: &[Peer] = &[
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
        .chain(of(STREAMS, streams()))
        .chain(of(HANDSHAKES, handshakes()))
        .chain(of(MEMORY, memory()))
        .chain(of(FAN_OUT, fan_out()))
        .collect()
}

fn cells(mode: &'static str, sizes: &[usize], in_flight: &[usize]) -> Vec<Cell> {
    let cell = |size, in_flight| Cell { mode, size, in_flight, setup: Setup::OneCore };
    sizes.iter().flat_map(|&size| in_flight.iter().map(move |&n| cell(size, n))).collect()
}

/// But 256 MiB under way at once, where a call takes seconds and little but memory is measured.
pub fn calls() -> Vec<Cell> {
    let all = cells("calls", &SIZES, &IN_FLIGHT).into_iter();
    all.filter(|cell| cell.size * cell.in_flight <= MOST_UNDER_WAY).collect()
}

pub fn two_cores(setup: Setup) -> Vec<Cell> {
    let cell = |(size, in_flight)| Cell { mode: "calls", size, in_flight, setup };
    TWO_CORES_CELLS.into_iter().map(cell).collect()
}

pub fn streams() -> Vec<Cell> {
    cells("stream", &[1 << 10, 64 << 10], &[1])
}

pub fn handshakes() -> Vec<Cell> {
    cells("handshakes", &[64], &[1, 16])
}

pub fn memory() -> Vec<Cell> {
    [cells("idle", &[64], &[150]), cells("hold", &[64], &[4_000])].concat()
}

pub fn fan_out() -> Vec<Cell> {
    cells("fanout", &[64, 1 << 10], &SUBSCRIBERS)
}
