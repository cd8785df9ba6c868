//! The gate: one line for each promise, and whether it is kept.

use std::fmt;

use serde::Serialize;

use crate::probe::{Metric, Probe};
use crate::rounds::Results;
use crate::rows::Row;
use crate::stats;

/// What became of a promise.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What was measured.
    pub cell: String,
    /// Against whom.
    pub peer: String,
    /// The median of the rounds' ratios, or the figure itself where there is no peer.
    pub ratio: Option<f64>,
    /// What the figure is counted in, where it is no ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// Where we want to be.
    pub goal: f64,
    /// What decides.
    pub bound: f64,
    /// Whether `bound` is the most that is allowed, not the least.
    pub at_most: bool,
    /// `ok` or `short`.
    pub status: Status,
    /// Largest ratio minus smallest, as a part of the median.
    pub spread: f64,
    /// Our median figure: calls/s, microseconds or bytes.
    pub ours: Option<f64>,
    /// Theirs.
    pub theirs: Option<f64>,
    /// How many rounds.
    pub rounds: usize,
    /// Why there is no ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a promise is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is.
    Ok,
    /// It is not, or cannot be shown.
    Short,
}

/// Judges one row.
pub fn judge(row: &Row, results: &Results) -> Verdict {
    let ours = best(&row.ours, row.metric, results);
    let theirs = best(&row.theirs, row.metric, results);
    let series = |probe: Option<&Probe>| probe.map(|probe| results.series(probe, row.metric));
    let scale = row.unit.map_or(1.0, |(scale, _)| scale);
    let ratios = match (series(ours), series(theirs)) {
        (Some(ours), _) if row.theirs.is_empty() => {
            ours.into_iter().flatten().map(|figure| figure / scale).collect()
        }
        (Some(ours), Some(theirs)) => stats::ratios(&ours, &theirs),
        _ => Vec::new(),
    };
    let figure = |probe: Option<&Probe>| results.median(probe?, row.metric);
    let reason = missing(&row.ours, "ours", results)
        .filter(|_| ours.is_none())
        .or_else(|| missing(&row.theirs, row.peer, results).filter(|_| theirs.is_none()));
    let mut verdict = verdict(&row.cell, row.peer, &ratios, row.metric, row.bound, row.goal);
    verdict.unit = row.unit.map(|(_, unit)| unit);
    verdict.ours = figure(ours);
    verdict.theirs = figure(theirs);
    verdict.reason = reason.filter(|_| ratios.is_empty());
    verdict
}

/// The verdict on these ratios.
pub fn verdict(
    cell: &str,
    peer: &str,
    ratios: &[f64],
    metric: Metric,
    bound: f64,
    goal: f64,
) -> Verdict {
    let ratio = stats::median(ratios);
    let kept = |ratio: f64| if metric.more_is_better() { ratio >= bound } else { ratio <= bound };
    Verdict {
        cell: cell.to_owned(),
        peer: peer.to_owned(),
        ratio,
        unit: None,
        goal,
        bound,
        at_most: !metric.more_is_better(),
        status: if ratio.is_some_and(kept) { Status::Ok } else { Status::Short },
        spread: stats::spread(ratios),
        ours: None,
        theirs: None,
        rounds: ratios.len(),
        reason: None,
    }
}

/// The probe with the best median: where a peer has several ways, its best one counts.
fn best<'p>(probes: &'p [Probe], metric: Metric, results: &Results) -> Option<&'p Probe> {
    let figures = probes.iter().filter_map(|probe| Some((probe, results.median(probe, metric)?)));
    let better = |one: &(&Probe, f64), other: &(&Probe, f64)| {
        let order = one.1.total_cmp(&other.1);
        if metric.more_is_better() { order } else { order.reverse() }
    };
    figures.max_by(better).map(|(probe, _)| probe)
}

fn missing(probes: &[Probe], who: &str, results: &Results) -> Option<String> {
    let failure = probes.iter().find_map(|probe| results.failure(probe))?;
    let reason = &failure.reason;
    Some(format!("missing: {who}: {}", reason.strip_prefix("missing: ").unwrap_or(reason)))
}

impl Verdict {
    /// Ratio and goal for people.
    pub fn figures(&self) -> (String, String) {
        let unit = self.unit.map_or_else(|| "x".to_owned(), |unit| format!(" {unit}"));
        let number = |number: f64| match number {
            large if large >= 100.0 => format!("{large:.0}{unit}"),
            number => format!("{number:.2}{unit}"),
        };
        (self.ratio.map_or_else(|| "-".to_owned(), number), number(self.goal))
    }

    /// `ok` or `short`.
    pub fn status(&self) -> &'static str {
        match self.status {
            Status::Ok => "ok",
            Status::Short => "short",
        }
    }
}

/// One line: `cell  peer  ratio  goal  ok|short`, and the reason if there is no ratio.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cell, peer, status) = (&self.cell, &self.peer, self.status());
        let (ratio, goal) = self.figures();
        write!(f, "{cell:<36}  {peer:<22}  {ratio:>9}  {goal:>9}  {status}")?;
        match &self.reason {
            Some(reason) => write!(f, "  ({reason})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(theirs: Vec<Probe>) -> Row {
        Row {
            cell: "64 B x 64".into(),
            peer: "tonic TLS",
            ours: vec![Probe::calls("ours", "quic", 64, 64)],
            theirs,
            metric: Metric::PerSecond,
            bound: 10.0,
            goal: 12.0,
            unit: None,
        }
    }

    #[test]
    fn the_better_variant_of_a_peer_counts() {
        let (slow, fast) =
            (Probe::calls("tonic", "tls", 64, 64), Probe::calls("tonic", "wide", 64, 64));
        let mut results = Results::default();
        results.insert(Probe::calls("ours", "quic", 64, 64), &[100.0, 110.0, 120.0]);
        results.insert(slow, &[5.0, 5.0, 5.0]);
        results.insert(fast, &[10.0, 10.0, 10.0]);
        let verdict = judge(&row(vec![slow, fast]), &results);
        assert_eq!((verdict.ratio, verdict.status), (Some(11.0), Status::Ok));
        assert_eq!((verdict.ours, verdict.theirs, verdict.rounds), (Some(110.0), Some(10.0), 3));
        assert!(verdict.to_string().ends_with("11.00x     12.00x  ok"), "{verdict}");
    }

    #[test]
    fn what_is_not_there_is_short() {
        let theirs = vec![Probe::calls("tonic", "tls", 64, 64)];
        let verdict = judge(&row(theirs), &Results::default());
        assert_eq!((verdict.ratio, verdict.status), (None, Status::Short));
    }

    #[test]
    fn at_most_is_the_other_way_round() {
        let judged = |ratio| verdict("c", "p", &[ratio], Metric::P50, 1.1, 1.05).status;
        assert_eq!(judged(1.08), Status::Ok);
        assert_eq!(judged(1.2), Status::Short);
    }
}
