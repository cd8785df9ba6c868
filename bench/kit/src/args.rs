//! The command line of a peer.

use std::net::SocketAddr;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

/// The command line of every peer.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Command {
    /// What to do.
    #[command(subcommand)]
    pub(crate) half: Half,
}

/// One of the two halves.
#[derive(Debug, Subcommand)]
pub(crate) enum Half {
    /// Serves on a free port of 127.0.0.1, prints `ready ADDR`, and ends when its stdin does
    Server {
        /// One of `variants`
        variant: String,
        #[command(flatten)]
        place: Place,
    },
    /// Makes calls and prints one line of JSON for each cell
    Client {
        /// One of `variants`
        variant: String,
        /// What the server printed
        address: SocketAddr,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        measure: Measure,
    },
    /// Prints the variants
    Variants,
}

/// Where a process runs.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// `current`, `multi:N` for N worker threads, or `own` for the one that the framework makes
    #[arg(long, default_value = "current")]
    pub(crate) runtime: Runtime,
    /// Pin the whole process to this core
    #[arg(long)]
    pub(crate) core: Option<usize>,
}

/// What the client half measures.
#[derive(Args, Debug)]
pub(crate) struct Measure {
    /// Cells to measure, `BYTES:IN_FLIGHT,..`
    #[arg(long = "cell", value_delimiter = ',', default_value = "64:64")]
    pub(crate) cells: Vec<Cell>,
    /// Seconds for each cell, after a warm-up of 30 % of that
    #[arg(long, default_value_t = 0.3)]
    pub(crate) seconds: f64,
    /// Processes whose CPU time and memory count as the server's, `PID,..`
    #[arg(long, value_delimiter = ',')]
    pub(crate) server_pids: Vec<i32>,
    /// What to do in each cell: for `idle`, `hold` and `fanout` the second number of a cell is how many
    /// connections, calls or subscribers; for `beside`, how many callers of 1 MiB bodies
    #[arg(long, value_enum, default_value_t = Mode::Calls)]
    pub(crate) mode: Mode,
}

/// What the client half does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Mode {
    /// Closed-loop callers on one connection
    Calls,
    /// One caller at a time while others send 1 MiB bodies on the same connection
    Beside,
    /// A server stream of items, read to its end
    Stream,
    /// New connections with one call each
    Handshakes,
    /// Connections that do nothing: the server's memory
    Idle,
    /// Calls that never end: the server's memory
    Hold,
    /// One publisher, many subscribers
    Fanout,
}

/// Bytes of payload and how many are in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cell {
    /// Bytes of payload.
    pub size: usize,
    /// How many callers, connections or subscribers.
    pub in_flight: usize,
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(':').and_then(|(size, in_flight)| {
            Some(Self { size: size.parse().ok()?, in_flight: in_flight.parse().ok()? })
        });
        match numbers {
            Some(cell) if cell.in_flight > 0 => Ok(cell),
            _ => Err(format!("`{text}` is not BYTES:IN_FLIGHT")),
        }
    }
}

/// The flavour of tokio's runtime.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runtime {
    /// One thread does everything.
    Current,
    /// This many worker threads.
    Multi(usize),
    /// The one that the framework makes for its users.
    Own,
}

impl Runtime {
    /// Builds it, unless it is not ours to build.
    pub(crate) fn build(self) -> Option<std::io::Result<tokio::runtime::Runtime>> {
        let mut builder = match self {
            Self::Current => tokio::runtime::Builder::new_current_thread(),
            Self::Multi(threads) => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(threads);
                builder
            }
            Self::Own => return None,
        };
        Some(builder.enable_all().build())
    }
}

impl FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("multi:").map(str::parse) {
            None if text == "current" => Ok(Self::Current),
            None if text == "own" => Ok(Self::Own),
            Some(Ok(threads)) if threads > 0 => Ok(Self::Multi(threads)),
            _ => Err(format!("`{text}` is none of `current`, `multi:N`, `own`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_two_numbers() {
        assert_eq!("64:1".parse(), Ok(Cell { size: 64, in_flight: 1 }));
        assert!("64".parse::<Cell>().is_err());
        assert!("64:0".parse::<Cell>().is_err());
    }

    #[test]
    fn runtimes_have_a_name() {
        assert_eq!("current".parse(), Ok(Runtime::Current));
        assert_eq!("multi:2".parse(), Ok(Runtime::Multi(2)));
        assert!("multi:0".parse::<Runtime>().is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Command::command().debug_assert();
    }
}
