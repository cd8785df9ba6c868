//! Logs: for people on a terminal, one JSON object a line otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::status::{Result, Status};

/// Sends events of these levels to the standard error output. A subscriber that the program has set
/// already stays.
///
/// # Errors
/// `InvalidArgument` when `levels` is neither a level nor a list like `info,micro_core=debug`.
pub fn init(levels: &str) -> Result<()> {
    let Some(targets) = targets(levels) else {
        return Err(Status::invalid_argument(format!(
            "log level {levels:?} is not one of error, warn, info, debug, trace, nor a list like \
             `info,micro_core=debug`"
        )));
    };
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    // Fails only when there is one already, which is the program's choice.
    let _ = match stderr().is_terminal() {
        true => registry.with(layer.with_ansi(colours)).try_init(),
        false => registry.with(layer.json()).try_init(),
    };
    Ok(())
}

/// A bare word must be a level: taken for a module, a misspelt one would silence all others.
fn targets(levels: &str) -> Option<Targets> {
    // Nothing would read as `error`.
    let is_word = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let fits = |part: &str| part.contains('=') || is_word(part);
    levels.split(',').all(fits).then(|| levels.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused() {
        for levels in ["info", "off", "INFO", "warn,micro_core=debug", "micro_core=trace"] {
            assert!(targets(levels).is_some(), "{levels}");
        }
        for levels in ["inof", "info,loud", "", "info,", "micro_core=loud"] {
            assert!(targets(levels).is_none(), "{levels}");
        }
    }
}
