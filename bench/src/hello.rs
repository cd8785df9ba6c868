//! The first minute of a user: how long `hello` takes to build, beside the hello of tonic.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::gate::{self, Verdict};
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
        eprintln!("hello: as measured before; `--builds` measures again");
        return Ok(known);
    }
    ensure!(allowed, "missing: not measured, and `--no-build` was given");
    let tonic = bench().join("hello-tonic");
    ensure!(tonic.is_dir(), "missing: {} is not there", tonic.display());
    eprintln!("hello: cold builds of both (this takes minutes)");
    let ours = build(&project()?, "hello", Path::new("examples/hello/src/main.rs"))?;
    let tonic = build(&tonic, "hello-tonic", Path::new("src/main.rs"))?;
    let builds = Builds { ours, tonic, key };
    fs::write(&record, serde_json::to_vec(&builds)?)?;
    Ok(builds)
}

/// The rows of the gate.
pub fn verdicts(builds: &Result<Builds>) -> Vec<Verdict> {
    let of = |cell, ratio: fn(&Builds) -> (f64, f64), bound, goal| {
        let figures = builds.as_ref().ok().map(ratio);
        let ratios: Vec<f64> = figures.iter().map(|(ours, theirs)| ours / theirs).collect();
        // Less is better, as with times of calls.
        let mut verdict = gate::verdict(cell, "tonic hello", &ratios, Metric::P50, bound, goal);
        (verdict.ours, verdict.theirs) = figures.unzip();
        verdict.reason = builds.as_ref().err().map(|error| format!("{error:#}"));
        verdict
    };
    let packages = |builds: &Builds| (builds.ours.packages as f64, builds.tonic.packages as f64);
    vec![
        of("cold build of hello, time", times, 0.8, 0.8),
        of("cold build of hello, packages", packages, 0.95, 0.95),
    ]
}

/// By the wall, unless it says little.
fn times(builds: &Builds) -> (f64, f64) {
    let (ours, tonic) = (builds.ours.cold, builds.tonic.cold);
    if ours.dirty || tonic.dirty { (ours.cpu, tonic.cpu) } else { (ours.seconds, tonic.seconds) }
}

/// Builds from nothing, and again after a change.
fn build(folder: &Path, package: &str, main: &Path) -> Result<Build> {
    let target = target()?.join("cold-hello");
    let empty = || match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    empty()?;
    let fetched = cargo(folder, "fetch").arg("--quiet").status()?;
    ensure!(fetched.success(), "the packages of {package} cannot be fetched");
    let (cold, packages) = timed(folder, package, &target)?;
    let main = fs::File::options().append(true).open(folder.join(main))?;
    main.set_modified(std::time::SystemTime::now())?;
    let (warm, _) = timed(folder, package, &target)?;
    empty()?;
    Ok(Build { packages, cold, warm })
}

/// One build, and how many packages it had.
fn timed(folder: &Path, package: &str, target: &PathBuf) -> Result<(Took, usize)> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        package_id: Option<String>,
    }
    let watch = Watch::start(None);
    let begun = Instant::now();
    let mut cargo = cargo(folder, "build");
    cargo.args(["-p", package, "--message-format", "json"]).env("CARGO_TARGET_DIR", target);
    let mut cargo = cargo.stdout(Stdio::piped()).spawn()?;
    let messages = BufReader::new(cargo.stdout.take().context("stdout is piped")?);
    let mut packages = BTreeSet::new();
    for message in serde_json::Deserializer::from_reader(messages).into_iter::<Message>() {
        let message = message?;
        if message.reason == "compiler-artifact" {
            packages.extend(message.package_id);
        }
    }
    ensure!(cargo.wait()?.success(), "{package} cannot be built");
    let seconds = begun.elapsed().as_secs_f64();
    let dirty = watch.others() >= DIRTY;
    Ok((Took { seconds, cpu: watch.own(), dirty }, packages.len()))
}

/// Changes whenever a package does.
fn key() -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for lock in [project()?.join("Cargo.lock"), bench().join("hello-tonic/Cargo.lock")] {
        fs::read(&lock).with_context(|| format!("missing: {}", lock.display()))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
