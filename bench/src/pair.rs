//! One run: starts a server, has a client measure one cell against it, and ends both.

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::interrupt;
use crate::probe::{Probe, Sample, Setup};
use crate::workspace::Failures;

/// How long a server may take to listen.
const STARTS: Duration = Duration::from_secs(15);
/// How long a client may take beside the time that it measures.
const GRACE: Duration = Duration::from_secs(25);

/// Where peers run: their binaries, a directory of their own, the core of the gate.
pub struct Bench {
    /// Where `peer-..` are.
    pub binaries: PathBuf,
    /// Why some of them are not there.
    unbuilt: Failures,
    /// Gone afterwards.
    home: PathBuf,
    /// The core that both are pinned to.
    pub core: usize,
}

/// Why there is no sample.
#[derive(Clone, Debug)]
pub struct Failure {
    /// It will never work here: the peer lacks the mode, or a program is not installed.
    pub permanent: bool,
    /// What it says.
    pub reason: String,
}

impl Bench {
    /// Makes the directory that peers have as home and for temporary files, so that nothing of the user's
    /// is read or changed.
    pub fn open(binaries: PathBuf, unbuilt: Failures, core: usize) -> Result<Self> {
        let home = std::env::temp_dir().join(format!("micro-bench-{}", std::process::id()));
        interrupt::remove(&home);
        let made = DirBuilder::new().mode(0o700).create(&home);
        made.with_context(|| format!("make {}", home.display()))?;
        Ok(Self { binaries, unbuilt, home, core })
    }

    /// Runs one probe.
    pub fn run(&self, probe: &Probe, seconds: f64) -> Result<Sample, Failure> {
        self.attempt(probe, seconds).map_err(|error| {
            let reason = format!("{error:#}");
            let permanent = ["unsupported", "missing", "no variant", "not installed", "not built"];
            Failure { permanent: permanent.iter().any(|word| reason.contains(word)), reason }
        })
    }

    fn attempt(&self, probe: &Probe, seconds: f64) -> Result<Sample> {
        let binary = self.binaries.join(format!("peer-{}", probe.peer));
        if let Some(reason) = self.unbuilt.get(probe.peer) {
            bail!("missing: peer-{} cannot be built: {reason}", probe.peer);
        }
        ensure!(binary.exists(), "missing: peer-{} is not built", probe.peer);
        let mut server = self.command(&binary, &["server", probe.variant], probe);
        let mut server = Process::start(server.stdin(Stdio::piped()))?;
        let address = server.ready()?;
        let cell = format!("{}:{}", probe.cell.size, probe.cell.in_flight);
        let seconds_text = seconds.to_string();
        let mut client = self.command(&binary, &["client", probe.variant, &address], probe);
        client.args(["--mode", probe.cell.mode, "--cell", &cell, "--seconds", &seconds_text]);
        client.args(["--server-pids", &pids(server.child.id())]);
        let limit = GRACE + Duration::from_secs_f64(seconds * 4.0);
        let mut client = Process::start(client.stdin(Stdio::null()))?;
        let outcome = client.line(limit).with_context(|| format!("{} client", probe.peer));
        client.end()?;
        server.end()?;
        let sample: Sample = serde_json::from_str(&outcome?).context("what the client printed")?;
        ensure!(sample.count != Some(0.0), "not one call ended within {seconds} s");
        Ok(sample)
    }

    fn command(&self, binary: &Path, arguments: &[&str], probe: &Probe) -> Command {
        let mut command = Command::new(binary);
        command.args(arguments);
        command.env("MICRO_HOME", &self.home).env("HOME", &self.home).env("TMPDIR", &self.home);
        command.current_dir(&self.home);
        if matches!(probe.cell.mode, "idle" | "hold") {
            // With huge pages memory comes in steps of 2 MiB, more than what is measured.
            command.env("MIMALLOC_ALLOW_THP", "0");
        }
        match probe.cell.setup {
            Setup::OneCore => command.args(["--core", &self.core.to_string()]),
            Setup::Free => &mut command,
            Setup::FreeMulti => command.args(["--runtime", "multi:2"]),
            Setup::FreeOwn => command.args(["--runtime", "own"]),
        };
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
        interrupt::keep(&self.home);
    }
}

/// The process and those that it started, such as a broker.
fn pids(server: u32) -> String {
    let children = format!("/proc/{server}/task/{server}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let own = server.to_string();
    std::iter::once(own.as_str()).chain(children.split_whitespace()).collect::<Vec<_>>().join(",")
}

/// A child whose lines can be waited for, and which never outlives its owner.
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = interrupt::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (send, lines) = mpsc::channel();
        let out = child.stdout.take().context("stdout is piped")?;
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut err = child.stderr.take().context("stderr is piped")?;
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            // What came before an error is worth reading too.
            let _ = err.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, lines, errors: Some(errors) })
    }

    /// The address of a server that listens.
    fn ready(&mut self) -> Result<String> {
        let line = self.line(STARTS).context("the server")?;
        let address = line.strip_prefix("ready ");
        Ok(address.with_context(|| format!("the server said {line:?}"))?.to_owned())
    }

    /// The next line; an error with what the process said otherwise if there is none.
    fn line(&mut self, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.child.kill()?;
                bail!("nothing within {} s", limit.as_secs())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                self.child.kill()?;
                let errors = self.errors.take().and_then(|errors| errors.join().ok());
                bail!("{}", last_words(&errors.unwrap_or_default()))
            }
        }
    }

    /// Closes stdin, waits a moment, and kills what is still there.
    fn end(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                interrupt::ended(&self.child);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.child.kill()?;
        self.child.wait()?;
        interrupt::ended(&self.child);
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless something else went wrong.
        let _ = self.end();
    }
}

/// The line that says what went wrong.
fn last_words(errors: &str) -> String {
    let mut lines = errors.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines.clone().find(|line| line.starts_with("error:") || line.contains("panicked"));
    let words = said.or_else(|| lines.next_back()).unwrap_or("it ended without a word");
    words.trim_start_matches("error: ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_error_counts() {
        assert_eq!(last_words("warn\nerror: no room\n\nstack"), "no room");
        assert_eq!(last_words("a\nb\n\n"), "b");
        assert_eq!(last_words(""), "it ended without a word");
    }
}
