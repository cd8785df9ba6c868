//! How much a user's service has to build.

use std::collections::BTreeSet;

use crate::{Outcome, output};

/// Packages in the default build of `examples/hello`, itself and ours included.
const MOST: usize = 95;

pub(crate) fn check() -> Outcome {
    let tree = output(
        "cargo",
        &["tree", "-p", "hello", "-e", "normal,build", "--prefix", "none", "--format", "{p}"],
    )?;
    let name = |line: &str| line.split(" (").next().unwrap_or(line).trim().to_owned();
    let packages: BTreeSet<String> = tree.lines().map(name).filter(|l| !l.is_empty()).collect();
    println!("hello builds {} packages (at most {MOST})", packages.len());
    if packages.len() > MOST {
        let all = packages.into_iter().collect::<Vec<_>>().join("\n  ");
        return Err(format!("too many packages:\n  {all}"));
    }
    if let Some(ring) = packages.iter().find(|package| package.starts_with("ring ")) {
        return Err(format!(
            "{ring} is in the default build; aws-lc-rs is the one crypto provider"
        ));
    }
    println!("no `ring` among them");
    Ok(())
}
