//! How much CPU other processes took while something was measured.

use std::time::{Duration, Instant};

/// A run is dirty when others took more than this part of a core.
pub const DIRTY: f64 = 0.15;
/// How long to wait for a quiet machine before a run begins anyway.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a look at the machine takes.
const LOOK: Duration = Duration::from_millis(100);

/// Watches a core, or all of them.
pub struct Watch {
    core: Option<usize>,
    busy: f64,
    own: f64,
    begun: Instant,
}

impl Watch {
    /// Begins to watch; no core means all of them.
    pub fn start(core: Option<usize>) -> Self {
        Self { core, busy: busy(core), own: children(), begun: Instant::now() }
    }

    /// Cores that others used since the start, as long as our children have all been waited for.
    pub fn others(&self) -> f64 {
        let seconds = self.begun.elapsed().as_secs_f64();
        let others = (busy(self.core) - self.busy) - self.own();
        (others / seconds).max(0.0)
    }

    /// CPU seconds of our children since the start, as long as they have all been waited for.
    pub fn own(&self) -> f64 {
        children() - self.own
    }
}

/// Waits until the machine is quiet, but not for long.
pub fn settle(core: Option<usize>) {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let watch = Watch::start(core);
        std::thread::sleep(LOOK);
        if watch.others() < DIRTY {
            return;
        }
    }
}

/// Seconds that a core, or all of them, has worked since the machine started.
fn busy(core: Option<usize>) -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let name = core.map_or_else(|| "cpu".to_owned(), |core| format!("cpu{core}"));
    ticks(&text, &name).unwrap_or(0) as f64 / 100.0
}

/// The ticks of the line of this core: user, nice, system and interrupts, but not what was idle.
fn ticks(stat: &str, name: &str) -> Option<u64> {
    let line = stat.lines().find(|line| line.split(' ').next() == Some(name))?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    Some([0, 1, 2, 5, 6].iter().filter_map(|&at| numbers.get(at)).sum())
}

/// CPU seconds of children that have ended and been waited for.
fn children() -> f64 {
    use nix::sys::resource::{UsageWho, getrusage};
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_of_one_core() {
        let stat = "cpu  9 9 9 9 9 9 9\ncpu0 1 100 2 100 100 4 8 0\ncpu1 5 0 0 0 0 0 0\nintr 7";
        assert_eq!(ticks(stat, "cpu0"), Some(115));
        assert_eq!(ticks(stat, "cpu1"), Some(5));
        assert_eq!(ticks(stat, "cpu2"), None);
    }
}
