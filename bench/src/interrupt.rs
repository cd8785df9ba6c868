//! Everything that was started ends when somebody stops this process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What has to go.
#[derive(Default)]
struct UnderWay {
    /// Each child leads a group of its own: a compiler or a broker ends with the one who started it.
    groups: Vec<u32>,
    directories: Vec<PathBuf>,
}

static UNDER_WAY: Mutex<UnderWay> =
    Mutex::new(UnderWay { groups: Vec::new(), directories: Vec::new() });

/// From now on SIGINT, SIGTERM and SIGHUP end all that [`start`] has started, and then this process.
///
/// # Errors
/// The system refuses the thread or the handlers.
pub fn listen() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listen to signals")?;
    let listener = thread::Builder::new().name("signals".into());
    listener.spawn(move || signals.forever().next().map(stop)).context("listen to signals")?;
    Ok(())
}

/// Starts a child in a process group of its own. [`ended`] forgets it.
///
/// # Errors
/// As [`Command::spawn`].
pub fn start(command: &mut Command) -> io::Result<Child> {
    // While nothing can be stopped, so that no child is started unseen.
    let mut under_way = under_way();
    let child = command.process_group(0).spawn()?;
    under_way.groups.push(child.id());
    Ok(child)
}

/// The child has been waited for.
pub fn ended(child: &Child) {
    under_way().groups.retain(|group| *group != child.id());
}

/// Removes this directory too, until [`keep`] is called.
pub fn remove(directory: &Path) {
    under_way().directories.push(directory.to_owned());
}

/// The directory has been removed, or stays.
pub fn keep(directory: &Path) {
    under_way().directories.retain(|other| other != directory);
}

fn under_way() -> MutexGuard<'static, UnderWay> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stop(signal: i32) {
    // Held to the end: nothing more is started.
    let under_way = under_way();
    for group in &under_way.groups {
        let group = Pid::from_raw(group.cast_signed());
        // One that cannot be killed has gone, and one that cannot be waited for is waited for elsewhere.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = waitpid(group, None);
    }
    for directory in &under_way.directories {
        let _ = std::fs::remove_dir_all(directory);
    }
    eprintln!("\nstopped; {} processes ended", under_way.groups.len());
    std::process::exit(128 + signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_leads_a_group_of_its_own_until_it_has_ended() {
        let mut child = start(Command::new("sleep").arg("60")).unwrap();
        let group = Pid::from_raw(child.id().cast_signed());
        assert!(under_way().groups.contains(&child.id()));
        // Only a leader has a group by its number.
        killpg(group, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        ended(&child);
        assert!(!under_way().groups.contains(&child.id()));
    }
}
