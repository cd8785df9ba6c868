//! Chores that CI and people run alike: `cargo run -p xtask -- CHORE`.

#![forbid(unsafe_code)]

use std::process::{Command, ExitCode};

mod licences;
mod packages;
mod readme;

const HELP: &str = "\
Chores of this repository.

Usage: cargo run -p xtask -- CHORE

Chores:
  licences    every dependency's licence is one that deny.toml allows
  packages    the default build of a user's service: at most 95 packages, no `ring`
  readme      runs the commands of README.md as written and compares what they print
";

/// What went wrong, in words for the person who ran the chore.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("licences") => licences::check(),
        Some("packages") => packages::check(),
        Some("readme") => readme::run(),
        None | Some("-h" | "--help" | "help") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(format!("unknown chore `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command prints; its failure is an error with what it said.
fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let shown = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{shown}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{shown}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
