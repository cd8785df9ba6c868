//! The line of JSON that a client prints for each cell.

use anyhow::Result;
use serde::Serialize;

use crate::args::{Cell, Mode};
use crate::peer::Client;

/// How long calls took.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<u32>);

impl Times {
    pub(crate) fn extend(&mut self, nanoseconds: Vec<u32>) {
        self.0.extend(nanoseconds);
    }

    fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    /// Microseconds of the quantile, of sorted times.
    fn quantile(&self, q: f64) -> Option<f64> {
        let at = (self.0.len() as f64 * q) as usize;
        let nanoseconds = *self.0.get(at.min(self.0.len().checked_sub(1)?))?;
        Some(f64::from(nanoseconds) / 1000.0)
    }
}

/// What was measured in one cell. What a mode does not measure is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    mode: &'static str,
    variant: String,
    size: usize,
    in_flight: usize,
    /// Calls, items, connections or deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_cpu_s: Option<f64>,
    /// Of the server's memory, for each connection or call.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_each: Option<f64>,
    /// Deliveries that did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

impl Line {
    pub(crate) fn new(client: &Client, cell: Cell) -> Self {
        Self {
            mode: match client.mode() {
                Mode::Calls => "calls",
                Mode::Beside => "beside",
                Mode::Stream => "stream",
                Mode::Handshakes => "handshakes",
                Mode::Idle => "idle",
                Mode::Hold => "hold",
                Mode::Fanout => "fanout",
            },
            variant: client.variant.clone(),
            size: cell.size,
            in_flight: cell.in_flight,
            count: None,
            seconds: None,
            per_second: None,
            p50_us: None,
            p99_us: None,
            p999_us: None,
            server_cpu_s: None,
            client_cpu_s: None,
            bytes_each: None,
            lost: None,
        }
    }

    pub(crate) fn rate(mut self, count: u64, seconds: f64) -> Self {
        self.count = Some(count);
        self.seconds = Some(seconds);
        self.per_second = Some(count as f64 / seconds);
        self
    }

    pub(crate) fn calls(self, times: Times, seconds: f64) -> Self {
        let times = times.sorted();
        let mut line = self.rate(times.0.len() as u64, seconds);
        line.p50_us = times.quantile(0.5);
        line.p99_us = times.quantile(0.99);
        line.p999_us = times.quantile(0.999);
        line
    }

    pub(crate) fn cpu(mut self, server: f64, client: f64) -> Self {
        self.server_cpu_s = Some(server);
        self.client_cpu_s = Some(client);
        self
    }

    pub(crate) fn memory(mut self, count: u64, bytes: u64) -> Self {
        self.count = Some(count);
        self.bytes_each = Some(bytes as f64 / count as f64);
        self
    }

    pub(crate) fn lost(mut self, lost: u64) -> Self {
        self.lost = Some(lost);
        self
    }

    pub(crate) fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_sorted_times() {
        let mut times = Times::default();
        times.extend((0..1000u32).rev().map(|n| n * 1000).collect());
        let times = times.sorted();
        assert_eq!(times.quantile(0.5), Some(500.0));
        assert_eq!(times.quantile(0.999), Some(999.0));
        assert_eq!(times.quantile(1.0), Some(999.0));
        assert_eq!(Times::default().quantile(0.5), None);
    }
}
