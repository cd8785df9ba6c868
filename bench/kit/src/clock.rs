//! CPU time and memory of processes, and the core that this one runs on.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Pins this process to a core. Threads that are made later inherit it.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores).with_context(|| format!("pin to core {core}"))
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu() -> f64 {
    seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU seconds of these processes so far. One that has gone counts nothing.
pub(crate) fn cpu_of(pids: &[i32]) -> f64 {
    // Their clocks, since the ticks of /proc are 10 ms and a cell has thirty of them.
    let clock = |pid: &i32| clock_getcpuclockid(Pid::from_raw(*pid)).ok();
    pids.iter().filter_map(clock).map(seconds).sum()
}

fn seconds(clock: ClockId) -> f64 {
    clock_gettime(clock).map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9)
}

/// Bytes of memory that these processes hold.
pub(crate) fn memory_of(pids: &[i32]) -> u64 {
    let resident = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    pids.iter().filter_map(resident).sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_time_and_memory() {
        let own = std::process::id() as i32;
        assert!(own_cpu() > 0.0);
        assert!(cpu_of(&[own]) > 0.0);
        assert!(memory_of(&[own]) > 100_000);
        assert_eq!(memory_of(&[i32::MAX]), 0);
    }
}
