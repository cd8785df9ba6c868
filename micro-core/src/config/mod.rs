//! Configuration: defaults < `micro.toml` < environment < flags < code, one struct, unknown keys refused.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::status::{Result, Status};
use crate::transport::LONGEST_CALL;
use crate::transport::quic::MTU;

mod duration;
mod layers;

pub use duration::parse as parse_duration;
pub use layers::{Asked, Layers, Source};

/// What a process is told from outside.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Settings {
    /// Which service this process is when it calls others; the first that it serves unless given.
    pub name: Option<String>,
    /// Where to listen: `host:port`, or `tcp://host:port` for another transport than `transport`; port 0
    /// is any free one.
    pub address: String,
    /// The address that others are told, where it is not the one to listen on.
    pub advertise: Option<String>,
    /// Where services find each other: `local`, `local:///dir`, `memory`, `mdns`.
    pub registry: String,
    /// Where events go: `direct` or `memory`.
    pub broker: String,
    /// How calls travel: `quic`, `tcp`, `auto` (QUIC, and TCP where no UDP gets through) or `memory`.
    pub transport: String,
    /// The largest UDP payload that QUIC tries, in bytes: 1200, the least that every network carries, to
    /// 6500. It begins with the least and finds out what the path takes.
    pub quic_mtu: u16,
    /// Which of the linked services to run; all unless given.
    pub services: Vec<String>,
    /// How long a unary call may take unless it says.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How long a stream may live unless it says.
    #[serde(with = "duration")]
    pub stream_timeout: Duration,
    /// How long calls in flight get to end when the process is told to stop.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// How many unary calls may run at the same time; more are refused.
    pub max_in_flight: usize,
    /// What is logged: a level, or levels by module (`info,micro_core=debug`).
    pub log: String,
    /// The app's own configuration, a table for each `Config<T>`.
    pub app: toml::Table,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name: None,
            address: "127.0.0.1:0".into(),
            advertise: None,
            registry: "local".into(),
            broker: "direct".into(),
            transport: "quic".into(),
            quic_mtu: *MTU.end(),
            services: Vec::new(),
            request_timeout: Duration::from_secs(5),
            stream_timeout: Duration::from_secs(3600),
            drain_timeout: Duration::from_secs(30),
            max_in_flight: 512 * cores,
            log: "info".into(),
            app: toml::Table::new(),
        }
    }
}

impl Settings {
    /// Settings for a process that lives alone: nothing is found outside of it and no socket is opened.
    pub fn in_memory() -> Self {
        let memory = || "memory".to_owned();
        Self { registry: memory(), broker: memory(), transport: memory(), ..Self::default() }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// `InvalidArgument` that names the key.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("request_timeout", self.request_timeout),
            ("stream_timeout", self.stream_timeout),
            ("drain_timeout", self.drain_timeout),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, time)| time.is_zero()) {
            return Err(Status::invalid_argument(format!("`{key}` must be longer than nothing")));
        }
        let calls = &positive[..2];
        if let Some((key, _)) = calls.iter().find(|(_, time)| *time > LONGEST_CALL) {
            return Err(Status::invalid_argument(format!("`{key}` must be at most 1h")));
        }
        if self.max_in_flight == 0 {
            return Err(Status::invalid_argument("`max_in_flight` must be at least 1"));
        }
        if !MTU.contains(&self.quic_mtu) {
            // Ten packets leave in one call of the system, which takes 64 KiB; and QUIC itself asks for
            // 1,200.
            return Err(Status::invalid_argument(format!(
                "`quic_mtu` must be 1200 to 6500 bytes, not {}: QUIC needs 1200, and above 6500 the system \
                 drops what is sent, since ten packets at once must stay below 64 KiB",
                self.quic_mtu
            )));
        }
        self.validate_address()?;
        match &self.name {
            Some(name) if !crate::text::is_name(name) => Err(Status::invalid_argument(format!(
                "`name`: {name:?} may only contain a-z, 0-9, `_`, `-` and `.`"
            ))),
            _ => Ok(()),
        }
    }

    /// An address may name a transport, but not another kind of network than the one that is called with.
    fn validate_address(&self) -> Result<()> {
        match self.address.split_once("://") {
            Some(("quic" | "tcp" | "auto", _)) if self.transport != "memory" => Ok(()),
            Some((scheme, _)) => Err(Status::invalid_argument(format!(
                "`address`: cannot listen on `{}` with the transport `{}` (`host:port`, or with `quic://`, \
                 `tcp://` or `auto://` before it)",
                scheme.escape_debug().take(64).collect::<String>(),
                self.transport
            ))),
            None => Ok(()),
        }
    }
}

/// One key as people set it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// In `micro.toml`.
    pub name: &'static str,
    /// In the environment.
    pub env: &'static str,
    /// On the command line, without the dashes.
    pub flag: &'static str,
    /// What it does, for `--help`.
    pub help: &'static str,
}

/// All keys, in the order of `--help`. The names in the environment are go-micro's where it has them.
pub const KEYS: &[Key] = &[
    key("name", "MICRO_SERVER_NAME", "name", "who this process is when it calls others"),
    key(
        "address",
        "MICRO_SERVER_ADDRESS",
        "address",
        "where to listen, [tcp://]host:port (127.0.0.1:0)",
    ),
    key("advertise", "MICRO_SERVER_ADVERTISE", "advertise", "the address that others are told"),
    key("registry", "MICRO_REGISTRY", "registry", "local, local:///dir, memory or mdns (local)"),
    key("broker", "MICRO_BROKER", "broker", "direct or memory (direct)"),
    key("transport", "MICRO_TRANSPORT", "transport", "quic, tcp, auto or memory (quic)"),
    key("quic_mtu", "MICRO_QUIC_MTU", "quic-mtu", "largest UDP payload, 1200 to 6500 (6500)"),
    key("services", "MICRO_SERVICES", "services", "which linked services to run, a,b,c (all)"),
    key(
        "request_timeout",
        "MICRO_CLIENT_REQUEST_TIMEOUT",
        "request-timeout",
        "how long a call may take unless it says (5s)",
    ),
    key(
        "stream_timeout",
        "MICRO_CLIENT_STREAM_TIMEOUT",
        "stream-timeout",
        "how long a stream may live unless it says (1h)",
    ),
    key(
        "drain_timeout",
        "MICRO_DRAIN_TIMEOUT",
        "drain-timeout",
        "how long calls in flight get to end on shutdown (30s)",
    ),
    key(
        "max_in_flight",
        "MICRO_MAX_IN_FLIGHT",
        "max-in-flight",
        "calls that may run at the same time (512 a core)",
    ),
    key("log", "MICRO_LOG_LEVEL", "log", "what is logged: error, warn, info, debug, trace (info)"),
];

const fn key(name: &'static str, env: &'static str, flag: &'static str, help: &'static str) -> Key {
    Key { name, env, flag, help }
}

/// The settings in force and where each came from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where each key that is not a default came from.
    pub sources: BTreeMap<&'static str, Source>,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = serde_json::to_value(&self.settings).unwrap_or_default();
        for key in KEYS {
            let Some(value) = table.get(key.name) else { continue };
            let source = self.sources.get(key.name).copied().unwrap_or_default();
            writeln!(f, "{:<16} = {:<24} # {source}", key.name, value.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
