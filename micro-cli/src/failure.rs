//! Failures: why a command did not do what was asked, for people, for programs, and as an exit code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use micro_core::codec;
use micro_core::schema::Mismatch;
use micro_core::{Code, Encoding, Executed, Status, text};
use serde_json::{Value, json};

use crate::output::{Style, plain};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, or a backend that it names, cannot be used.
    Config(Status),
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The standard input or output failed. A reader that has seen enough is no failure.
    Io(io::Error),
    /// The JSON does not fit; nothing was sent.
    Misfit(Box<Misfit>),
    /// There is no such thing.
    NotFound {
        /// What was looked for.
        what: String,
        /// Its name, as the user wrote it.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// What the command does itself failed.
    Plain(String),
    /// The call, or the registry or broker, answered so.
    Status(Status),
    /// Not every instance serves; which ones was printed.
    Unhealthy,
    /// The command line is wrong in a way that its grammar cannot say.
    Usage(String),
}

/// JSON that does not fit a schema.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// What takes it.
    pub(crate) target: String,
    /// All that does not fit.
    pub(crate) problems: Vec<Mismatch>,
    /// The shape that would fit.
    pub(crate) expected: String,
    /// Which line of the standard input.
    pub(crate) line: Option<u64>,
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// What scripts see.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Io(_) | Self::Plain(_) | Self::Unhealthy => 1,
            Self::Status(status) if status.code() == Code::DeadlineExceeded => 5,
            Self::Status(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound { .. } => 3,
            Self::Misfit(_) => 4,
            Self::Config(_) => 78,
            Self::Interrupted => 130,
        }
    }

    /// Prints it to the standard error output.
    pub(crate) fn report(&self, style: Style, terminal: bool) -> ExitCode {
        let code = ExitCode::from(self.exit());
        if matches!(self, Self::Unhealthy | Self::Interrupted) || self.exit() == 0 {
            return code;
        }
        let text = match style.json {
            true => format!("{}\n", self.json()),
            false => {
                let red = terminal && crate::output::wants_colours();
                let label = if red { "\x1b[1;31merror\x1b[0m" } else { "error" };
                format!("{label}: {}\n", plain(&self.text()))
            }
        };
        // Nobody is left to be told when this fails.
        let _ = io::stderr().write_all(text.as_bytes());
        code
    }

    /// For people: what is wrong, then what helps, a line each.
    fn text(&self) -> String {
        let mut text = self.message();
        // Writing to a string does not fail.
        let _ = match self {
            Self::NotFound { known, .. } if !known.is_empty() => {
                write!(text, "\n  there is: {}", list(known))
            }
            Self::Misfit(misfit) => {
                for problem in &misfit.problems {
                    let _ = write!(text, "\n  {problem}");
                }
                write!(text, "\n  it takes: {}", misfit.expected)
            }
            Self::Status(status) => {
                if let Some((name, value)) = fault(status) {
                    let _ = write!(text, "\n  fault: {name} {value}");
                }
                if let Some(wait) = status.retry_after() {
                    let _ = write!(text, "\n  try again in {} ms", wait.as_millis());
                }
                write!(text, "\n  correlation id: {}", status.correlation())
            }
            _ => Ok(()),
        };
        text
    }

    /// The first line.
    fn message(&self) -> String {
        match self {
            Self::Config(status) => status.message().to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
            Self::Io(error) => error.to_string(),
            Self::Misfit(misfit) => {
                let line = misfit.line.map(|line| format!("line {line}: ")).unwrap_or_default();
                format!("{line}the JSON does not fit {}", misfit.target)
            }
            Self::NotFound { what, wanted, known } => {
                let hint = text::did_you_mean(wanted, known.iter().map(String::as_str));
                format!("{what}{hint}")
            }
            Self::Plain(text) | Self::Usage(text) => text.clone(),
            Self::Status(status) => status.to_string(),
            Self::Unhealthy => "not every instance serves".to_owned(),
        }
    }

    fn json(&self) -> Value {
        let mut error = json!({"exit": self.exit(), "message": self.message()});
        match self {
            Self::NotFound { known, .. } => error["known"] = json!(known),
            Self::Misfit(misfit) => {
                let problem = |m: &Mismatch| json!({"path": m.path, "problem": m.problem});
                error["mismatches"] = misfit.problems.iter().map(problem).collect();
                error["expected"] = json!(misfit.expected);
                if let Some(line) = misfit.line {
                    error["line"] = json!(line);
                }
            }
            Self::Config(status) | Self::Status(status) => {
                error["message"] = json!(status.message());
                error["code"] = json!(status.code().name());
                error["correlation"] = json!(status.correlation().to_string());
                error["executed"] = json!(match status.executed() {
                    Executed::No => "no",
                    Executed::Maybe => "maybe",
                    Executed::Yes => "yes",
                });
                if let Some(wait) = status.retry_after() {
                    error["retry_after_ms"] = json!(wait.as_millis() as u64);
                }
                if let Some((name, value)) = fault(status) {
                    error["fault"] = json!({"name": name, "value": value});
                }
            }
            _ => {}
        }
        json!({ "error": error })
    }
}

/// The typed fault of a status: its name and value. One that cannot be read has no value.
fn fault(status: &Status) -> Option<(&str, Value)> {
    let fault = status.fault_body()?;
    let value = Encoding::from_number(fault.encoding)
        .and_then(|encoding| codec::decode_value(encoding, &fault.bytes).ok());
    Some((&fault.name, value.unwrap_or_default()))
}

/// Some of the names; a registry may know thousands.
fn list(known: &[String]) -> String {
    const MOST: usize = 20;
    let shown = known.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match known.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown() -> Failure {
        Failure::NotFound {
            what: "no handler `helo` in `greeter`".into(),
            wanted: "helo".into(),
            known: vec!["add".into(), "hello".into()],
        }
    }

    #[test]
    fn every_failure_has_its_exit_code() {
        let misfit =
            Misfit { target: "a.b".into(), problems: vec![], expected: "null".into(), line: None };
        for (failure, code) in [
            (Failure::Status(Status::not_found("x")), 1),
            (Failure::Status(Status::deadline_exceeded("x")), 5),
            (Failure::Usage("x".into()), 2),
            (unknown(), 3),
            (Failure::Misfit(Box::new(misfit)), 4),
            (Failure::Config(Status::invalid_argument("x")), 78),
            (Failure::Interrupted, 130),
            (Failure::Io(io::ErrorKind::BrokenPipe.into()), 0),
            (Failure::Io(io::ErrorKind::PermissionDenied.into()), 1),
        ] {
            assert_eq!(failure.exit(), code, "{failure:?}");
        }
    }

    #[test]
    fn an_unknown_name_shows_the_nearest_and_all() {
        assert_eq!(
            unknown().text(),
            "no handler `helo` in `greeter`; did you mean `hello`?\n  there is: add, hello"
        );
        let json = unknown().json();
        assert_eq!(json["error"]["exit"], 3);
        assert_eq!(json["error"]["known"], json!(["add", "hello"]));
    }

    #[test]
    fn a_fault_shows_its_name_and_value() {
        let fault = micro_core::status::FaultBody {
            name: "QuoteError".into(),
            encoding: Encoding::Json as u8,
            bytes: br#"{"UnknownSku":"x"}"#[..].into(),
        };
        let status = Status::failed_precondition("QuoteError").with_fault(fault);
        let text = Failure::Status(Status::failed_precondition("y")).text();
        assert!(text.starts_with("failed_precondition: y\n  correlation id: "), "{text}");
        let failure = Failure::Status(status);
        assert!(failure.text().contains(r#"fault: QuoteError {"UnknownSku":"x"}"#));
        assert_eq!(failure.json()["error"]["fault"]["value"], json!({"UnknownSku": "x"}));
        assert_eq!(failure.json()["error"]["code"], "failed_precondition");
    }
}
