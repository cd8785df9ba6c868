//! Measures micro beside its peers, on the machine that it runs on. See the README beside this crate.

mod chart;
mod full;
mod gate;
mod hello;
mod interrupt;
mod noise;
mod pair;
mod probe;
mod report;
mod rounds;
mod rows;
mod stats;
mod table;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};

use gate::{Status, Verdict};
use pair::Bench;
use probe::{Metric, Probe, Setup};
use rounds::{Plan, Results};
use rows::Row;
use workspace::Failures;

/// Measures micro beside its peers, on the machine that it runs on
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures what micro promises; exits 1 when a promise is not kept. Under 5 minutes after the builds
    Gate {
        #[command(flatten)]
        measure: Measure,
        /// Only rows whose cell or peer contains this
        #[arg(long)]
        only: Option<String>,
        /// Prints JSON: one array of rows
        #[arg(long)]
        json: bool,
        /// Judges by CPU time where both sides share a core, for a machine that is busy
        #[arg(long)]
        by_cpu: bool,
    },
    /// Measures everything and writes it into docs/performance.md and docs/performance-*.svg. Takes about
    /// 25 minutes after the builds
    Full {
        #[command(flatten)]
        measure: Measure,
        /// Prints the tables instead
        #[arg(long)]
        print: bool,
        /// Writes into this folder instead of docs/; it has a performance.md with the same markers
        #[arg(long)]
        docs: Option<PathBuf>,
    },
    /// Lists the rows of the gate: cell, peer, bound, goal
    List,
    /// Measures one variant of one peer and prints a line of JSON for each cell: `pair tonic tls 64:64,64:1`
    Pair {
        /// The folder in bench/peers
        peer: String,
        /// `peer-NAME variants` lists them
        variant: String,
        /// BYTES:IN_FLIGHT,..
        #[arg(value_delimiter = ',')]
        cells: Vec<String>,
        /// calls, beside, stream, handshakes, idle, hold or fanout
        #[arg(long, default_value = "calls")]
        mode: String,
        /// Use all cores, with multi-thread runtimes
        #[arg(long)]
        multi: bool,
        #[command(flatten)]
        measure: Measure,
    },
}

#[derive(Args, Clone, Copy, Debug)]
struct Measure {
    /// How often everything is measured, interleaved [default: 3, or fewer when time is short]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds for each cell, after a warm-up of 30 % of that
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// The core that both processes are pinned to (the last one)
    #[arg(long)]
    core: Option<usize>,
    /// Does not build the peers first, nor hello
    #[arg(long)]
    no_build: bool,
    /// Measures the builds of hello again, even if nothing they depend on has changed
    #[arg(long)]
    builds: bool,
}

impl Measure {
    /// Builds the peers of these probes, and opens the place where they run.
    fn bench(&self, probes: &[Probe]) -> Result<Bench> {
        ensure!(self.rounds != Some(0) && self.seconds > 0.0, "nothing to measure");
        let peers = probes.iter().map(|probe| probe.peer).collect();
        let unbuilt = if self.no_build { Failures::new() } else { workspace::build(&peers)? };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Bench::open(workspace::binaries()?, unbuilt, self.core.unwrap_or(cores - 1))
    }

    /// In so many minutes at most, unless somebody has said how many rounds there shall be.
    fn plan(&self, minutes: u64) -> Plan {
        let limit = self.rounds.is_none().then(|| Duration::from_secs(minutes * 60));
        Plan { rounds: self.rounds.unwrap_or(ROUNDS), seconds: self.seconds, limit }
    }
}

fn main() -> ExitCode {
    run(Command::parse().what).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn run(what: What) -> Result<ExitCode> {
    interrupt::listen()?;
    match what {
        What::Gate { measure, only, json, by_cpu } => {
            run_gate(measure, only.as_deref(), json, by_cpu)
        }
        What::Full { measure, print, docs } => run_full(measure, print, docs),
        What::List => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        What::Pair { peer, variant, cells, mode, multi, measure } => {
            let setup = if multi { Setup::FreeMulti } else { Setup::OneCore };
            run_pair(peer, variant, &cells, mode, setup, measure)
        }
    }
}

/// Enough for a median.
const ROUNDS: usize = 3;
const GATE_MINUTES: u64 = 5;
const FULL_MINUTES: u64 = 25;

fn run_gate(measure: Measure, only: Option<&str>, json: bool, by_cpu: bool) -> Result<ExitCode> {
    let wanted = |cell: &str, peer: &str| {
        only.is_none_or(|only| {
            format!("{cell}  {peer}").to_lowercase().contains(&only.to_lowercase())
        })
    };
    let mut rows: Vec<Row> =
        rows::rows().into_iter().filter(|row| wanted(&row.cell, row.peer)).collect();
    if by_cpu {
        rows.iter_mut().for_each(|row| row.metric = row.metric.by_cpu(row.ours[0].cell));
    }
    let builds = hello::CELLS.iter().any(|(cell, _)| wanted(cell, hello::PEER));
    ensure!(builds || !rows.is_empty(), "no row contains `{}`", only.unwrap_or_default());
    let probes = probes(&rows);
    let bench = measure.bench(&probes)?;
    let builds = builds.then(|| hello::measure(measure.builds, !measure.no_build));
    let results = rounds::run(&bench, &probes, measure.plan(GATE_MINUTES));
    let mut verdicts: Vec<Verdict> = rows.iter().map(|row| gate::judge(row, &results)).collect();
    let builds = builds.iter().flat_map(hello::verdicts);
    verdicts.extend(builds.filter(|verdict| wanted(&verdict.cell, &verdict.peer)));
    match json {
        true => println!("{}", serde_json::to_string_pretty(&verdicts)?),
        false => verdicts.iter().for_each(|verdict| println!("{verdict}")),
    }
    let short = verdicts.iter().filter(|verdict| verdict.status == Status::Short).count();
    eprintln!("{} rows, {short} short", verdicts.len());
    Ok(if short > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run_full(measure: Measure, print: bool, docs: Option<PathBuf>) -> Result<ExitCode> {
    let docs = docs.map_or_else(|| Ok(workspace::project()?.join("docs")), anyhow::Ok)?;
    ensure!(docs.join("performance.md").is_file(), "no performance.md in {}", docs.display());
    let rows = rows::rows();
    let mut probes = probes(&rows);
    probes.extend(full::probes());
    let bench = measure.bench(&probes)?;
    let builds = hello::measure(measure.builds, !measure.no_build);
    let results = rounds::run(&bench, &probes, measure.plan(FULL_MINUTES));
    let mut verdicts: Vec<Verdict> = rows.iter().map(|row| gate::judge(row, &results)).collect();
    verdicts.extend(hello::verdicts(&builds));
    let tables = report::tables(&results, &verdicts, &builds);
    match print {
        true => tables.iter().for_each(|(name, table)| println!("{name}\n\n{table}")),
        false => report::write(&docs, &tables, &results)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() {
    for row in rows::rows() {
        let how = if row.metric.more_is_better() { ">=" } else { "<=" };
        let unit = row.unit.map_or("x", |(_, unit)| unit);
        println!(
            "{:<36}  {:<22}  {how} {} {unit}, goal {}",
            row.cell, row.peer, row.bound, row.goal
        );
    }
    for (cell, bound) in hello::CELLS {
        println!("{cell:<36}  {:<22}  <= {bound} x, goal {bound}", hello::PEER);
    }
}

/// What the rows need.
fn probes(rows: &[Row]) -> Vec<Probe> {
    rows.iter().flat_map(|row| row.ours.iter().chain(&row.theirs)).copied().collect()
}

fn run_pair(
    peer: String,
    variant: String,
    cells: &[String],
    mode: String,
    setup: Setup,
    measure: Measure,
) -> Result<ExitCode> {
    // Names live as long as the process in probes.
    let leak = |text: String| -> &'static str { text.leak() };
    let (peer, variant, mode) = (leak(peer), leak(variant), leak(mode));
    let probe = |cell: &String| {
        let numbers = cell.split_once(':').context("a cell is BYTES:IN_FLIGHT")?;
        let probe = Probe::of(peer, variant, mode, numbers.0.parse()?, numbers.1.parse()?);
        anyhow::Ok(probe.on(setup))
    };
    let probes: Vec<Probe> = cells.iter().map(probe).collect::<Result<_>>()?;
    ensure!(!probes.is_empty(), "which cells? for example 64:64");
    let bench = measure.bench(&probes)?;
    let results: Results = rounds::run(&bench, &probes, measure.plan(FULL_MINUTES));
    for probe in &probes {
        let median = |metric| results.median(probe, metric);
        let line = serde_json::json!({
            "cell": probe.to_string(),
            "per_second": median(Metric::PerSecond),
            "p50_us": median(Metric::P50),
            "p99_us": median(Metric::P99),
            "bytes_each": median(Metric::BytesEach),
            "server_cpu_s_per_million": median(Metric::ServerCpu),
            "client_cpu_s_per_million": median(Metric::ClientCpu),
            "spread": stats::spread(
                &results.series(probe, Metric::PerSecond).into_iter().flatten().collect::<Vec<_>>(),
            ),
        });
        println!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_that_is_named_exists() {
        for probe in probes(&rows::rows()).into_iter().chain(full::probes()) {
            let source = workspace::bench().join("peers").join(probe.peer).join("src/main.rs");
            // A peer whose folder is not there is a row that says so.
            if let Ok(source) = std::fs::read_to_string(source) {
                assert!(source.contains(&format!("(\"{}\",", probe.variant)), "{probe}");
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Command::command().debug_assert();
    }
}
