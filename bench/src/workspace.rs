//! Where things are, and building them.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::interrupt;

/// The folder of this workspace.
pub fn bench() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the project.
pub fn project() -> Result<PathBuf> {
    Ok(bench().parent().context("bench/ is in the project")?.to_owned())
}

/// Where the binaries of peers are: beside this one.
pub fn binaries() -> Result<PathBuf> {
    Ok(target()?.join("release"))
}

/// Where builds go.
pub fn target() -> Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this binary")?;
    let target = own.parent().and_then(Path::parent).context("it is in target/PROFILE")?;
    Ok(target.to_owned())
}

/// Builds these peers and no others; why those that cannot be built cannot.
///
/// One after another: cargo gives what several packages of one build share the features that any of them
/// asks for, and a peer must not change with the company that it is measured in.
pub fn build(peers: &BTreeSet<&'static str>) -> Result<Failures> {
    let mut failures = Failures::new();
    for peer in peers {
        eprintln!("building peer-{peer} (the first time this takes long)");
        if let Err(error) = build_one(peer) {
            eprintln!("warning: no peer-{peer}: {error:#}");
            failures.insert(peer, format!("{error:#}"));
        }
    }
    Ok(failures)
}

/// Why a peer could not be built, by its name.
pub type Failures = HashMap<&'static str, String>;

fn build_one(peer: &str) -> Result<()> {
    let package = format!("peer-{peer}");
    ensure!(bench().join("peers").join(peer).is_dir(), "there is no bench/peers/{peer}");
    let mut cargo = cargo(bench(), "build");
    cargo.args(["--release", "--package", &package, "--target-dir"]).arg(target()?);
    let mut cargo = interrupt::start(cargo.stdin(Stdio::null()).stderr(Stdio::piped()))?;
    let errors = cargo.stderr.take().context("stderr is piped")?;
    let mut said = Vec::new();
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        eprintln!("{line}");
        said.push(line);
    }
    let status = cargo.wait()?;
    interrupt::ended(&cargo);
    ensure!(status.success(), "{}", reason(&said));
    Ok(())
}

/// The line of cargo's that says why. Of a build script it is what the script said, which comes last.
fn reason(lines: &[String]) -> &str {
    let mut lines = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let error = lines.clone().find(|line| line.starts_with("error"));
    let script = lines.find(|line| *line == "--- stderr").and_then(|_| lines.next());
    script.or(error).unwrap_or("cargo ended without a word")
}

/// cargo in a folder, without the settings that the cargo that runs us has left in the environment.
pub fn cargo(folder: &Path, command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command).current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Replaces what is between `<!-- bench:NAME -->` and `<!-- /bench -->`.
///
/// # Errors
/// The markers are not there, or not in this order.
pub fn between_markers(text: &str, name: &str, content: &str) -> Result<String> {
    const END: &str = "<!-- /bench -->";
    let start = format!("<!-- bench:{name} -->");
    let from = text.find(&start).with_context(|| format!("no marker `{start}`"))? + start.len();
    let rest = &text[from..];
    let to = rest.find(END).with_context(|| format!("no `{END}` after `{start}`"))?;
    ensure!(!rest[..to].contains("<!-- bench:"), "no `{END}` between `{start}` and the next");
    Ok(format!("{}\n\n{}\n\n{}", &text[..from], content.trim(), &rest[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_a_build_failed_counts() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let wrong =
            lines("   Compiling a\nerror[E0308]: mismatched types\nerror: could not compile");
        assert_eq!(reason(&wrong), "error[E0308]: mismatched types");
        let script =
            lines("error: failed to run\n  --- stdout\n  x\n  --- stderr\n\n  no protoc\n");
        assert_eq!(reason(&script), "no protoc");
        assert_eq!(reason(&[]), "cargo ended without a word");
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "a\n<!-- bench:x -->\nold\n<!-- /bench -->\nb <!-- bench:y --><!-- /bench -->";
        let new = between_markers(text, "x", "new\n").unwrap();
        assert!(new.starts_with("a\n<!-- bench:x -->\n\nnew\n\n<!-- /bench -->\nb"), "{new}");
        assert_eq!(between_markers(&new, "x", "new").unwrap(), new);
        assert!(between_markers(text, "z", "").is_err());
        assert!(
            between_markers("<!-- bench:x --> <!-- bench:y --><!-- /bench -->", "x", "").is_err()
        );
    }
}
