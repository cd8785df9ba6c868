//! What `full` makes of the results: tables between the markers of `docs/performance.md`, and charts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::chart::{self, Bar};
use crate::full::{self, Peer};
use crate::gate::Verdict;
use crate::hello::{Build, Builds, Took};
use crate::probe::{Cell, Metric, Probe, Setup, size};
use crate::rounds::Results;
use crate::stats;
use crate::table::{figure, markdown};
use crate::workspace::between_markers;

/// The tables, each with the name of its markers.
pub fn tables(
    results: &Results,
    verdicts: &[Verdict],
    builds: &Result<Builds>,
) -> Vec<(&'static str, String)> {
    let of = |peers: &[Peer], cells: &[Cell], metric| {
        matrix(peers, cells, results, |probe| results.median(probe, metric))
    };
    // The first table about some cells says what is missing in all of them.
    let noted = |peers: &[Peer], cells: &[Cell], metric| {
        let notes: String = peers.iter().map(|peer| notes(peer, cells, results)).collect();
        format!("{}\n{notes}", of(peers, cells, metric))
    };
    let first = full::CALLS[0];
    let ratio = |probe: &Probe| {
        let first = Probe { peer: first.0, variant: first.1, ..*probe };
        let series = |probe| results.series(probe, Metric::PerSecond);
        stats::median(&stats::ratios(&series(&first), &series(probe)))
    };
    let two_cores = |peers, setup| noted(peers, &full::two_cores(setup), Metric::PerSecond);
    let calls = full::calls();
    let builds = match builds {
        Ok(builds) => build_table(builds),
        Err(error) => format!("{error:#}"),
    };
    vec![
        ("gate", gate(verdicts)),
        ("calls", noted(full::CALLS, &calls, Metric::PerSecond)),
        ("ratios", matrix(full::CALLS, &calls, results, ratio)),
        ("p50", of(full::CALLS, &calls, Metric::P50)),
        ("p99", of(full::CALLS, &calls, Metric::P99)),
        ("server-cpu", of(full::CALLS, &calls, Metric::ServerCpu)),
        ("client-cpu", of(full::CALLS, &calls, Metric::ClientCpu)),
        ("two-cores", two_cores(full::TWO_CORES, Setup::Free)),
        ("two-cores-own", two_cores(full::OWN_RUNTIME, Setup::FreeOwn)),
        ("two-cores-multi", two_cores(full::TWO_CORES, Setup::FreeMulti)),
        ("streams", noted(full::STREAMS, &full::streams(), Metric::PerSecond)),
        ("handshakes", noted(full::HANDSHAKES, &full::handshakes(), Metric::P50)),
        ("memory", noted(full::MEMORY, &full::memory(), Metric::BytesEach)),
        ("fan-out", noted(full::FAN_OUT, &full::fan_out(), Metric::PerSecond)),
        ("builds", builds),
    ]
}

/// A row for each peer that has figures, a column for each cell.
fn matrix(
    peers: &[Peer],
    cells: &[Cell],
    results: &Results,
    value: impl Fn(&Probe) -> Option<f64>,
) -> String {
    let head: Vec<_> = std::iter::once(String::new()).chain(cells.iter().map(column)).collect();
    let text = |probe: &Probe| match (value(probe), results.failure(probe)) {
        (None, Some(_)) => "missing".to_owned(),
        (value, _) => figure(value),
    };
    let row = |(peer, variant, name): &Peer| {
        let probes = cells.iter().map(|&cell| Probe { peer, variant, cell });
        let found = probes.clone().any(|probe| value(&probe).is_some());
        let row = std::iter::once((*name).to_owned()).chain(probes.map(|probe| text(&probe)));
        found.then(|| row.collect())
    };
    let rows: Vec<Vec<String>> = peers.iter().filter_map(row).collect();
    markdown(&head, &rows)
}

/// What the second number of a cell means depends on what is done.
fn column(cell: &Cell) -> String {
    let (bytes, n) = (size(cell.size), cell.in_flight);
    match cell.mode {
        "stream" => bytes,
        "handshakes" => format!("{n} at once"),
        "idle" => "idle connection".to_owned(),
        "hold" => "waiting call".to_owned(),
        "fanout" => format!("{bytes} to {n}"),
        _ => format!("{bytes} x {n}"),
    }
}

/// One line for each reason why this peer has no figure, with the cells that it is about.
fn notes((peer, variant, name): &Peer, cells: &[Cell], results: &Results) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for &cell in cells {
        let probe = Probe { peer, variant, cell };
        let Some(failure) = results.failure(&probe) else { continue };
        match reasons.iter_mut().find(|(reason, _)| *reason == failure.reason) {
            Some((_, columns)) => columns.push(column(&cell)),
            None => reasons.push((&failure.reason, vec![column(&cell)])),
        }
    }
    let note = |(reason, columns): (&str, Vec<String>)| match columns.len() == cells.len() {
        true => format!("- {name}: {reason}\n"),
        false => format!("- {name}, {}: {reason}\n", columns.join(", ")),
    };
    reasons.into_iter().map(note).collect()
}

fn gate(verdicts: &[Verdict]) -> String {
    let row = |verdict: &Verdict| {
        let (ratio, goal) = verdict.figures();
        let status = if verdict.reason.is_some() { "missing" } else { verdict.status() };
        let bound = if verdict.at_most { "at most" } else { "at least" };
        let bound = format!("{bound} {}", verdict.bound);
        vec![verdict.cell.clone(), verdict.peer.clone(), ratio, bound, goal, status.to_owned()]
    };
    let note = |verdict: &Verdict| {
        let reason = verdict.reason.as_ref()?;
        Some(format!("- {}, {}: {reason}\n", verdict.cell, verdict.peer))
    };
    let head = ["cell", "peer", "measured", "promise", "goal", ""].map(str::to_owned);
    let notes: String = verdicts.iter().filter_map(note).collect();
    format!("{}\n{notes}", markdown(&head, &verdicts.iter().map(row).collect::<Vec<_>>()))
}

fn build_table(builds: &Builds) -> String {
    let took = |took: Took| format!("{:.1} ({:.1})", took.cpu, took.seconds);
    let row = |name: &str, build: Build| {
        vec![name.to_owned(), build.packages.to_string(), took(build.cold), took(build.warm)]
    };
    let head = ["", "packages", "cold, CPU s (s)", "after a change of `main.rs`, CPU s (s)"];
    let rows = [row("micro hello", builds.ours), row("tonic hello", builds.tonic)];
    markdown(&head.map(str::to_owned), &rows)
}

/// Writes tables and charts into this folder, which has a `performance.md` with markers.
pub fn write(docs: &Path, tables: &[(&'static str, String)], results: &Results) -> Result<()> {
    let path = docs.join("performance.md");
    let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let charts = charts(results);
    for (name, table) in tables {
        let of_table = charts.iter().filter(|chart| chart.table == *name);
        let images: String = of_table
            .map(|chart| format!("![{}](performance-{}.svg)\n\n", chart.title, chart.name))
            .collect();
        text = between_markers(&text, name, &format!("{images}{table}"))?;
    }
    for chart in &charts {
        let path = docs.join(format!("performance-{}.svg", chart.name));
        fs::write(&path, &chart.svg)?;
        eprintln!("wrote {}", path.display());
    }
    // After what it points to.
    fs::write(&path, text)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// A picture above a table.
struct Chart {
    name: &'static str,
    table: &'static str,
    title: &'static str,
    svg: String,
}

/// Those that have a bar at all.
fn charts(results: &Results) -> Vec<Chart> {
    let below = "client and server share one core; more is better";
    let chart = |name, table, title, peers: &[Peer], cell| {
        let bar = |(peer, variant, label): &Peer| {
            let value = results.median(&Probe { peer, variant, cell }, Metric::PerSecond)?;
            Some(Bar { label: label.replace("**", ""), value, kind: chart::Kind::of(peer) })
        };
        let bars: Vec<Bar> = peers.iter().filter_map(bar).collect();
        let svg = (!bars.is_empty()).then(|| chart::bars(title, below, &bars))?;
        Some(Chart { name, table, title, svg })
    };
    let cell = |mode, size, in_flight| Cell { mode, size, in_flight, setup: Setup::OneCore };
    let small = "Calls per second, 64 B, 64 in flight";
    let large = "Calls per second, 1 MiB, one at a time";
    let fan_out = "Deliveries per second, 64 B, one publisher to 100 subscribers";
    let charts = [
        chart("small", "calls", small, full::CALLS, cell("calls", 64, 64)),
        chart("large", "calls", large, full::CALLS, cell("calls", 1 << 20, 1)),
        chart("fan-out", "fan-out", fan_out, full::FAN_OUT, cell("fanout", 64, 100)),
    ];
    charts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::Failure;
    use crate::workspace::project;

    #[test]
    fn every_table_has_its_markers() {
        let text = fs::read_to_string(project().unwrap().join("docs/performance.md")).unwrap();
        let builds = Err(anyhow::anyhow!("not measured"));
        for (name, table) in tables(&Results::default(), &[], &builds) {
            assert!(between_markers(&text, name, &table).is_ok(), "no markers for `{name}`");
        }
    }

    #[test]
    fn a_peer_that_is_missing_has_a_reason_instead_of_a_row() {
        let cells = full::memory();
        let (peer, variant, name) = full::MEMORY[0];
        let mut results = Results::default();
        for &cell in &cells {
            let failure = Failure { permanent: true, reason: "missing: no such thing".into() };
            results.fail(Probe { peer, variant, cell }, failure);
        }
        assert_eq!(
            notes(&full::MEMORY[0], &cells, &results),
            format!("- {name}: missing: no such thing\n")
        );
        assert_eq!(notes(&full::MEMORY[1], &cells, &results), "");
        let table = matrix(full::MEMORY, &cells, &results, |probe| {
            (probe.peer != peer && probe.cell == cells[1]).then_some(7.0)
        });
        assert_eq!(table.lines().count(), 2 + full::MEMORY.len() - 1, "{table}");
        assert!(table.contains("| idle connection | waiting call |"), "{table}");
    }

    #[test]
    fn a_chart_stands_above_its_table() {
        let (peer, variant, _) = full::CALLS[0];
        let mut results = Results::default();
        results.insert(Probe::calls(peer, variant, 64, 64), &[1.0, 2.0]);
        let charts = charts(&results);
        assert_eq!(charts.iter().map(|chart| chart.name).collect::<Vec<_>>(), ["small"]);
        assert!(charts[0].svg.contains("micro<"));
    }
}
