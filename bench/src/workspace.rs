//! Where things are, and building them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

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

/// Builds all peers, since building some of them would compile what they share with other features. One
/// that cannot be built is missing later and no error here.
pub fn build() -> Result<()> {
    eprintln!("building the peers (the first time this takes long)");
    let mut cargo = cargo(bench(), "build");
    cargo
        .args([
            "--release",
            "--workspace",
            "--exclude",
            "micro-bench",
            "--keep-going",
            "--target-dir",
        ])
        .arg(target()?);
    if !cargo.status().context("run cargo")?.success() {
        eprintln!("warning: not everything could be built");
    }
    Ok(())
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
