//! Rounds: every probe once in each round, the peers of a cell one after another, what was disturbed again.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::noise::{self, DIRTY, Watch};
use crate::pair::{Bench, Failure};
use crate::probe::{Metric, Probe, Sample, Setup};

/// How often a run is repeated because others took CPU meanwhile.
const AGAIN: usize = 2;
/// So many disturbed runs mean that the machine is busy, and that waiting does not help.
const BUSY: usize = 8;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// Seconds for each cell.
    pub seconds: f64,
    /// How long all of it may take: no round begins that would end later, except for the first.
    pub limit: Option<Duration>,
}

impl Plan {
    /// Whether one more round would end too late, if it takes as long as those before.
    fn is_over(&self, rounds: usize, elapsed: Duration) -> bool {
        let Ok(rounds @ 1..) = u32::try_from(rounds) else { return false };
        self.limit.is_some_and(|limit| elapsed + elapsed / rounds > limit)
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Results {
    samples: HashMap<Probe, Vec<Option<Sample>>>,
    failures: HashMap<Probe, Failure>,
    complaints: HashSet<(&'static str, &'static str, String)>,
    /// How many runs were disturbed to the end.
    pub dirty: usize,
    /// How many runs there were.
    pub runs: usize,
    /// How many rounds were begun.
    pub rounds: usize,
}

impl Results {
    /// The figure of each round.
    pub fn series(&self, probe: &Probe, metric: Metric) -> Vec<Option<f64>> {
        let rounds = self.samples.get(probe).map_or(&[][..], Vec::as_slice);
        rounds.iter().map(|sample| metric.of(sample.as_ref()?)).collect()
    }

    /// Says once what is the matter with a variant.
    fn complain(&mut self, probe: &Probe, reason: &str) {
        if self.complaints.insert((probe.peer, probe.variant, reason.to_owned())) {
            progress("");
            eprintln!("{probe}: {reason}");
        }
    }

    /// The median of all rounds.
    pub fn median(&self, probe: &Probe, metric: Metric) -> Option<f64> {
        let series: Vec<f64> = self.series(probe, metric).into_iter().flatten().collect();
        crate::stats::median(&series)
    }

    /// Why a probe has no figures.
    pub fn failure(&self, probe: &Probe) -> Option<&Failure> {
        self.failures.get(probe)
    }

    /// For tests of what is made of results.
    #[cfg(test)]
    pub fn fail(&mut self, probe: Probe, failure: Failure) {
        self.failures.insert(probe, failure);
    }

    /// For tests of what is made of results.
    #[cfg(test)]
    pub fn insert(&mut self, probe: Probe, rates: &[f64]) {
        let sample = |rate: &f64| Some(Sample { per_second: Some(*rate), ..Sample::default() });
        self.samples.insert(probe, rates.iter().map(sample).collect());
    }
}

/// Runs all probes in rounds.
pub fn run(bench: &Bench, probes: &[Probe], plan: Plan) -> Results {
    let cells = by_cell(probes);
    let total: usize = cells.iter().map(Vec::len).sum();
    let begun = Instant::now();
    let mut results = Results::default();
    for round in 0..plan.rounds {
        if plan.is_over(round, begun.elapsed()) {
            eprintln!("time is up after {round} of {} rounds", plan.rounds);
            break;
        }
        results.rounds += 1;
        if !std::io::stderr().is_terminal() {
            eprintln!("round {}/{} of {total} runs", round + 1, plan.rounds);
        }
        let mut at = 0;
        for cell in &cells {
            // The other way round in every other round: nobody is always first.
            let mut order: Vec<&Probe> = cell.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for probe in order {
                at += 1;
                let sample = match results.failures.get(probe) {
                    Some(failure) if failure.permanent => None,
                    _ => {
                        progress(&format!(
                            "round {}/{}  {at}/{total}  {probe}",
                            round + 1,
                            plan.rounds
                        ));
                        measured(bench, probe, plan.seconds, &mut results)
                    }
                };
                results.samples.entry(*probe).or_default().push(sample);
            }
        }
    }
    progress("");
    eprintln!("{} runs in {:.0} s", results.runs, begun.elapsed().as_secs_f64());
    if results.dirty > 0 {
        let (dirty, runs) = (results.dirty, results.runs);
        eprintln!("warning: in {dirty} of {runs} runs other processes took over {DIRTY} of a core");
    }
    results
}

/// What is under way, in a line that the next one replaces; on a terminal only.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text} ");
    }
}

/// One run; the quietest of a few if others are at work.
fn measured(bench: &Bench, probe: &Probe, length: f64, results: &mut Results) -> Option<Sample> {
    let hurry = results.dirty >= BUSY;
    let core = (probe.cell.setup == Setup::OneCore).then_some(bench.core);
    let mut quietest: Option<(f64, Sample)> = None;
    for _ in 0..=if hurry { 0 } else { AGAIN } {
        if !hurry {
            noise::settle(core);
        }
        let watch = Watch::start(core);
        let outcome = bench.run(probe, seconds(probe, length));
        let others = watch.others();
        match outcome {
            Ok(sample) => {
                results.failures.remove(probe);
                if quietest.as_ref().is_none_or(|(least, _)| others < *least) {
                    quietest = Some((others, sample));
                }
            }
            Err(mut failure) => {
                // What fails twice fails always, and may take its time each time.
                failure.permanent |= results.failures.contains_key(probe);
                let permanent = failure.permanent;
                results.complain(probe, &failure.reason);
                if quietest.is_none() {
                    results.failures.insert(*probe, failure);
                }
                if permanent {
                    break;
                }
            }
        }
        if others < DIRTY {
            break;
        }
    }
    results.runs += 1;
    let (others, sample) = quietest?;
    results.dirty += usize::from(others >= DIRTY);
    Some(sample)
}

/// Large bodies with many callers need longer: a call alone takes most of the usual time.
fn seconds(probe: &Probe, seconds: f64) -> f64 {
    let longer = match (probe.cell.mode, probe.cell.size * probe.cell.in_flight) {
        ("calls", bytes) if bytes >= 64 << 20 => 5.0,
        ("calls", bytes) if bytes >= 16 << 20 => 2.0,
        _ => 1.0,
    };
    seconds * longer
}

/// The probes of each cell, without those that come twice, in order of appearance.
fn by_cell(probes: &[Probe]) -> Vec<Vec<Probe>> {
    let mut cells: Vec<Vec<Probe>> = Vec::new();
    for probe in probes {
        // Two flavours of runtime are peers of each other, too.
        let same = |cell: &&mut Vec<Probe>| {
            let first = cell[0].cell;
            let pinned = |setup| setup == Setup::OneCore;
            (first.mode, first.size, first.in_flight, pinned(first.setup))
                == (
                    probe.cell.mode,
                    probe.cell.size,
                    probe.cell.in_flight,
                    pinned(probe.cell.setup),
                )
        };
        match cells.iter_mut().find(same) {
            Some(cell) if cell.contains(probe) => {}
            Some(cell) => cell.push(*probe),
            None => cells.push(vec![*probe]),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_round_begins_that_would_end_too_late() {
        let plan = Plan { rounds: 9, seconds: 0.3, limit: Some(Duration::from_secs(10)) };
        assert!(!plan.is_over(0, Duration::from_secs(20)));
        assert!(!plan.is_over(1, Duration::from_secs(5)));
        assert!(plan.is_over(2, Duration::from_secs(7)));
        assert!(!Plan { limit: None, ..plan }.is_over(2, Duration::from_secs(70)));
    }

    #[test]
    fn peers_of_a_cell_run_one_after_another_and_once() {
        let a = Probe::calls("a", "x", 64, 1);
        let b = Probe::calls("b", "x", 64, 1);
        let other = Probe::calls("a", "x", 64, 64);
        let multi = a.on(Setup::FreeMulti);
        let free = a.on(Setup::Free);
        let cells = by_cell(&[a, other, b, a, multi, free]);
        assert_eq!(cells, [vec![a, b], vec![other], vec![multi, free]]);
    }
}
