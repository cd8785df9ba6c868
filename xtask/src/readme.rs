//! Runs the commands of README.md as written.
//!
//! In fenced `sh` blocks, a line that ends in `# in one terminal` goes on in the background until the end;
//! one that ends in `# => text` must print that text. Every command must succeed. Blocks fenced as
//! anything else are not run.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Outcome;

/// A service that has not said that it listens by then has failed; the first run builds it.
const STARTED: Duration = Duration::from_secs(1_200);

pub(crate) fn run() -> Outcome {
    let readme = std::fs::read_to_string("README.md").map_err(|e| format!("README.md: {e}"))?;
    let lines = commands(&readme);
    if lines.is_empty() {
        return Err("README.md has no `sh` block".into());
    }
    let mut background = Background::default();
    for line in &lines {
        println!("$ {line}");
        match line.rsplit_once("# ") {
            Some((command, "in one terminal")) => background.start(command.trim())?,
            Some((command, note)) if note.starts_with("=> ") => {
                expect(command.trim(), note.trim_start_matches("=> ").trim())?;
            }
            _ => plain(line)?,
        }
    }
    println!("{} commands of README.md did what it says", lines.len());
    Ok(())
}

/// The lines of all `sh` blocks; a line that ends in `\` goes on in the next.
fn commands(readme: &str) -> Vec<String> {
    let mut inside = false;
    let mut found: Vec<String> = Vec::new();
    let mut joined = String::new();
    for line in readme.lines() {
        if line.trim_start().starts_with("```") {
            inside = line.trim() == "```sh";
            continue;
        }
        if !inside || line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => joined.push_str(part),
            None => found.push(std::mem::take(&mut joined) + line.trim()),
        }
    }
    found
}

fn expect(command: &str, wanted: &str) -> Outcome {
    let printed = shell(command)?;
    if printed.lines().any(|line| line.trim() == wanted) {
        return Ok(());
    }
    Err(format!("`{command}` should print {wanted}, but printed:\n{printed}"))
}

/// Runs a command whose output is for whoever watches.
fn plain(command: &str) -> Outcome {
    let status = Command::new("sh").args(["-c", command]).status();
    match status.map_err(|error| format!("sh: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("`{command}` failed ({status})")),
    }
}

fn shell(command: &str) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", command]).output();
    let output = output.map_err(|error| format!("sh: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{command}` failed ({}):\n{printed}{said}", output.status))
}

/// Services that run beside; stopped in the end.
#[derive(Default)]
struct Background(Vec<Child>);

impl Background {
    /// Starts a service and waits until it says where it listens.
    fn start(&mut self, command: &str) -> Outcome {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        self.0.push(child);
        let (said, heard) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr.take(1 << 24)).lines().map_while(Result::ok) {
                eprintln!("  {line}");
                // Nobody listens any more once the service is up.
                let _ = said.send(line);
            }
        });
        loop {
            match heard.recv_timeout(STARTED) {
                Ok(line) if line.starts_with("listening on") => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(format!("`{command}` did not start")),
            }
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // On Unix `cargo run` becomes the program, so that the signal reaches the service, which drains.
            let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sh_blocks_are_commands() {
        let text = "```sh\na \\\nb # => 1\n# note\n\n```\n```rust\nc\n```\n```sh\nd\n```";
        assert_eq!(commands(text), ["a b # => 1", "d"]);
    }
}
