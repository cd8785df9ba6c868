//! What is run: one cell of one variant of one peer, in one set-up; and what comes of it.

use std::fmt;

use serde::Deserialize;

/// One run of a server and a client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Probe {
    /// The crate `peer-..`.
    pub peer: &'static str,
    /// One of its variants.
    pub variant: &'static str,
    /// What the client does.
    pub cell: Cell,
}

/// What is compared between peers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Cell {
    /// As the kit calls it: `calls`, `stream`, ..
    pub mode: &'static str,
    /// Bytes of payload.
    pub size: usize,
    /// Callers, connections or subscribers.
    pub in_flight: usize,
    /// Where both run.
    pub setup: Setup,
}

/// Where client and server run.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Setup {
    /// Both pinned to the same core, current-thread runtimes: the cost of both sides and the kernel,
    /// without the wake-ups of idle cores, which are the largest noise of virtual machines.
    OneCore,
    /// Free to use all cores, current-thread runtimes.
    Free,
    /// Free to use all cores, multi-thread runtimes with two workers.
    FreeMulti,
    /// Free to use all cores, on the runtime that the framework makes for its users.
    FreeOwn,
}

impl Probe {
    /// Calls on one core.
    pub const fn calls(
        peer: &'static str,
        variant: &'static str,
        size: usize,
        in_flight: usize,
    ) -> Self {
        Self::of(peer, variant, "calls", size, in_flight)
    }

    /// Any mode on one core.
    pub const fn of(
        peer: &'static str,
        variant: &'static str,
        mode: &'static str,
        size: usize,
        in_flight: usize,
    ) -> Self {
        Self { peer, variant, cell: Cell { mode, size, in_flight, setup: Setup::OneCore } }
    }

    /// The same in another set-up.
    pub const fn on(self, setup: Setup) -> Self {
        Self { cell: Cell { setup, ..self.cell }, ..self }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.peer, self.variant, self.cell)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = match self.setup {
            Setup::OneCore => "",
            Setup::Free => " two cores",
            Setup::FreeMulti => " two cores, multi-thread",
            Setup::FreeOwn => " two cores, own runtime",
        };
        write!(f, "{} {} x {}{setup}", self.mode, size(self.size), self.in_flight)
    }
}

/// Bytes for people.
pub fn size(bytes: usize) -> String {
    match bytes {
        mib if mib >= 1 << 20 && mib % (1 << 20) == 0 => format!("{} MiB", mib >> 20),
        kib if kib >= 1 << 10 && kib % (1 << 10) == 0 => format!("{} KiB", kib >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// What a client printed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Sample {
    /// Calls, items, connections or deliveries in a second.
    pub per_second: Option<f64>,
    /// Microseconds of the median call.
    pub p50_us: Option<f64>,
    /// Of the 99th percentile.
    pub p99_us: Option<f64>,
    /// Of the 99.9th.
    pub p999_us: Option<f64>,
    /// How many.
    pub count: Option<f64>,
    /// CPU of the server.
    pub server_cpu_s: Option<f64>,
    /// CPU of the client.
    pub client_cpu_s: Option<f64>,
    /// Of the server's memory.
    pub bytes_each: Option<f64>,
    /// Deliveries that did not arrive.
    pub lost: Option<f64>,
}

/// Which figure of a sample counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Metric {
    /// More is better.
    PerSecond,
    /// Microseconds; less is better.
    P50,
    /// Microseconds; less is better.
    P99,
    /// Bytes for each connection or call; less is better.
    BytesEach,
    /// Calls, items or deliveries for each CPU second of both sides; more is better. What `PerSecond`
    /// would be if nobody else used the core.
    PerCpuSecond,
    /// CPU microseconds of both sides for each call; less is better.
    CpuEach,
    /// CPU seconds of the server for a million calls; less is better.
    ServerCpu,
    /// CPU seconds of the client for a million calls; less is better.
    ClientCpu,
}

impl Metric {
    /// The figure.
    pub fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::PerSecond => sample.per_second,
            Self::P50 => sample.p50_us,
            Self::P99 => sample.p99_us,
            Self::BytesEach => sample.bytes_each,
            Self::PerCpuSecond => Some(sample.count? / cpu(sample)?),
            Self::CpuEach => Some(cpu(sample)? / sample.count? * 1e6),
            Self::ServerCpu => Some(sample.server_cpu_s? / sample.count? * 1e6),
            Self::ClientCpu => Some(sample.client_cpu_s? / sample.count? * 1e6),
        }
    }

    /// Whether more is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::PerSecond | Self::PerCpuSecond)
    }

    /// The same by CPU time, for a machine that is busy: only where both sides share a core, which they
    /// then use all of the time.
    pub fn by_cpu(self, cell: Cell) -> Self {
        match (self, cell.mode) {
            _ if cell.setup != Setup::OneCore => self,
            (Self::PerSecond, "calls" | "stream" | "fanout") => Self::PerCpuSecond,
            (Self::P50, "calls") if cell.in_flight == 1 => Self::CpuEach,
            _ => self,
        }
    }
}

/// CPU seconds of both sides.
fn cpu(sample: &Sample) -> Option<f64> {
    Some(sample.server_cpu_s? + sample.client_cpu_s?).filter(|seconds| *seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(64), "64 B");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(1 << 20), "1 MiB");
        assert_eq!(size(1500), "1500 B");
    }

    #[test]
    fn a_line_of_the_kit_is_understood() {
        let line =
            r#"{"mode":"calls","variant":"tls","count":1000,"per_second":5.0,"server_cpu_s":0.5}"#;
        let sample: Sample = serde_json::from_str(line).unwrap();
        assert_eq!(Metric::PerSecond.of(&sample), Some(5.0));
        assert_eq!(Metric::ServerCpu.of(&sample), Some(500.0));
        assert_eq!(Metric::P50.of(&sample), None);
        assert_eq!(Metric::PerCpuSecond.of(&sample), None);
        let sample = Sample { client_cpu_s: Some(1.5), ..sample };
        assert_eq!(Metric::PerCpuSecond.of(&sample), Some(500.0));
        assert_eq!(Metric::CpuEach.of(&sample), Some(2000.0));
    }
}
