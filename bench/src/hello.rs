//! The first minute of a user: how long `hello` takes to build, beside the hello of tonic.
//!
//! Each is built in an empty directory of its own, from packages that have been fetched before, with the
//! same settings of cargo. CPU seconds are judged: the wall depends on who else is at work.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::gate::{self, Verdict};
use crate::interrupt;
use crate::noise::{DIRTY, Watch};
use crate::probe::Metric;
use crate::workspace::{bench, cargo, project, target};

/// How long both take.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Builds {
    /// Ours.
    pub ours: Build,
    /// tonic's.
    pub tonic: Build,
    /// What was built: a measurement of something else is none.
    key: u64,
    /// Seconds since 1970.
    at: u64,
}

/// How long one takes, debug.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Build {
    /// Packages that are compiled.
    pub packages: usize,
    /// From nothing but the sources of all packages.
    pub cold: Took,
    /// After a change of `main.rs`.
    pub warm: Took,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Took {
    /// By the clock on the wall.
    pub seconds: f64,
    /// Of all cores together.
    pub cpu: f64,
    /// Whether other processes were at work, so that the wall says little.
    pub dirty: bool,
}

/// The recorded measurement of what there is now, or a new one if that is allowed.
pub fn measure(again: bool, allowed: bool) -> Result<Builds> {
    let record = target()?.join("hello-builds.json");
    let key = key()?;
    let known =
        fs::read(&record).ok().and_then(|text| serde_json::from_slice::<Builds>(&text).ok());
    if let Some(known) = known.filter(|known| known.key == key && !again) {
        let hours = now().saturating_sub(known.at) / 3600;
        eprintln!(
            "hello: as measured {hours} hours ago, of the same packages; `--builds` measures again"
        );
        say("micro hello", known.ours);
        say("tonic hello", known.tonic);
        return Ok(known);
    }
    ensure!(allowed, "missing: not measured, and `--no-build` was given");
    let folder = bench().join("hello-tonic");
    ensure!(folder.is_dir(), "missing: {} is not there", folder.display());
    eprintln!("hello: cold builds of both (this takes minutes)");
    let ours = build(&project()?, "hello", Path::new("examples/hello/src/main.rs"))?;
    say("micro hello", ours);
    let tonic = build(&folder, "hello-tonic", Path::new("src/main.rs"))?;
    say("tonic hello", tonic);
    let builds = Builds { ours, tonic, key, at: now() };
    fs::write(&record, serde_json::to_vec(&builds)?)?;
    Ok(builds)
}

fn say(name: &str, build: Build) {
    let took = |took: Took| {
        let disturbed = if took.dirty { ", others at work" } else { "" };
        format!("{:.1} CPU s ({:.1} s{disturbed})", took.cpu, took.seconds)
    };
    let (packages, cold, warm) = (build.packages, took(build.cold), took(build.warm));
    eprintln!("{name}: {packages} packages, debug, cold {cold}, after a change of main.rs {warm}");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The rows of the gate, and how many times as much as the other hello each may have.
pub const CELLS: [(&str, f64); 2] =
    [("cold build of hello, CPU time", 0.8), ("cold build of hello, packages", 0.95)];
/// Against whom.
pub const PEER: &str = "tonic hello";

/// What becomes of them.
pub fn verdicts(builds: &Result<Builds>) -> Vec<Verdict> {
    let figure = |cell: usize, build: Build| match cell {
        0 => build.cold.cpu,
        _ => build.packages as f64,
    };
    let verdict = |(at, (cell, bound)): (usize, (&str, f64))| {
        let figures = builds.as_ref().ok().map(|b| (figure(at, b.ours), figure(at, b.tonic)));
        let ratios: Vec<f64> = figures.iter().map(|(ours, theirs)| ours / theirs).collect();
        // Less is better, as with times of calls.
        let mut verdict = gate::verdict(cell, PEER, &ratios, Metric::P50, bound, bound);
        (verdict.ours, verdict.theirs) = figures.unzip();
        verdict.reason = builds.as_ref().err().map(|error| format!("{error:#}"));
        verdict
    };
    CELLS.into_iter().enumerate().map(verdict).collect()
}

/// Builds from nothing, and again after a change.
fn build(folder: &Path, package: &str, main: &Path) -> Result<Build> {
    let target = target()?.join(format!("cold-{package}"));
    empty(&target)?;
    interrupt::remove(&target);
    let outcome = cold_and_warm(folder, package, &folder.join(main), &target);
    interrupt::keep(&target);
    empty(&target)?;
    outcome
}

fn empty(target: &Path) -> io::Result<()> {
    match fs::remove_dir_all(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn cold_and_warm(folder: &Path, package: &str, main: &Path, target: &Path) -> Result<Build> {
    let mut fetch = cargo(folder, "fetch");
    let mut fetch = interrupt::start(fetch.args(["--quiet", "--locked"]).stdin(Stdio::null()))?;
    let fetched = fetch.wait()?;
    interrupt::ended(&fetch);
    ensure!(fetched.success(), "the packages of {package} cannot be fetched");
    let (cold, packages) = timed(folder, package, target)?;
    // A change for cargo, and none for anybody else: its time is what it was afterwards.
    let main = fs::File::options().append(true).open(main)?;
    let modified = main.metadata()?.modified()?;
    main.set_modified(SystemTime::now())?;
    let warm = timed(folder, package, target);
    main.set_modified(modified)?;
    Ok(Build { packages, cold, warm: warm?.0 })
}

/// One build, and how many packages it had.
fn timed(folder: &Path, package: &str, target: &Path) -> Result<(Took, usize)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        package_id: Option<String>,
    }
    let watch = Watch::start(None);
    let begun = Instant::now();
    let mut cargo = cargo(folder, "build");
    cargo
        .args(["--package", package, "--locked", "--offline", "--message-format", "json"])
        .env("CARGO_TARGET_DIR", target)
        // As both are for somebody who starts a project, whatever this one has in its manifest.
        .env("CARGO_PROFILE_DEV_DEBUG", "full");
    for cache in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_INCREMENTAL"] {
        cargo.env_remove(cache);
    }
    let mut cargo = interrupt::start(cargo.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let messages = BufReader::new(cargo.stdout.take().context("stdout is piped")?);
    let mut packages = BTreeSet::new();
    let messages = serde_json::Deserializer::from_reader(messages).into_iter::<Message>();
    // cargo itself fails when nobody reads the rest.
    for message in messages.map_while(Result::ok) {
        if message.reason == "compiler-artifact" {
            packages.extend(message.package_id);
        }
    }
    let status = cargo.wait()?;
    interrupt::ended(&cargo);
    ensure!(status.success(), "{package} cannot be built");
    let seconds = begun.elapsed().as_secs_f64();
    let dirty = watch.others() >= DIRTY;
    Ok((Took { seconds, cpu: watch.own(), dirty }, packages.len()))
}

/// Changes whenever a package or the compiler does.
fn key() -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for lock in [project()?.join("Cargo.lock"), bench().join("hello-tonic/Cargo.lock")] {
        fs::read(&lock).with_context(|| format!("missing: {}", lock.display()))?.hash(&mut hasher);
    }
    cargo(bench(), "--version").output().context("run cargo")?.stdout.hash(&mut hasher);
    Ok(hasher.finish())
}
