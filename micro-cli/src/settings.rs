//! Settings: the layers of every service, with the flags of this command on top.

use std::ffi::OsString;

use micro_core::Status;
use micro_core::config::{Asked, KEYS, Layers, Loaded};
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::failure::Failure;
use crate::output::Output;

/// Who this command is when it calls others.
pub(crate) const NAME: &str = "micro-cli";

/// Loads what is in force, and begins to log.
pub(crate) fn load(global: &Global) -> Result<Loaded, Failure> {
    let Layers { file, environment, arguments: _ } = Layers::of_process();
    let layers = Layers { file, environment, arguments: arguments(global) };
    let loaded = match layers.load().map_err(Failure::Config)? {
        Asked::Run(loaded) => *loaded,
        // Only `--help` is answered so, and it is not among our arguments.
        Asked::Print(text) => return Err(Failure::Config(Status::invalid_argument(text))),
    };
    // A person who calls a service has no use for the log of a server, unless they ask for it.
    let levels = match global.verbose {
        0 if loaded.sources.contains_key("log") => loaded.settings.log.as_str(),
        0 => "error",
        1 => "info",
        _ => "debug",
    };
    micro_core::telemetry::init(levels).map_err(Failure::Config)?;
    Ok(loaded)
}

/// Our flags as those of a service.
fn arguments(global: &Global) -> Vec<OsString> {
    let Global { registry, broker, transport, config, json: _, verbose: _ } = global;
    let config = config.as_ref().map(|path| path.as_os_str().to_owned());
    let given = [
        ("--registry", registry.clone()),
        ("--broker", broker.clone()),
        ("--transport", transport.clone()),
        ("--config", config),
    ];
    let both = |(flag, value): (&str, Option<OsString>)| Some([OsString::from(flag), value?]);
    given.into_iter().filter_map(both).flatten().collect()
}

/// `micro config`
pub(crate) fn show(loaded: &Loaded, output: &mut Output) -> Result<(), Failure> {
    if !output.json() {
        let lines: Vec<String> = loaded.to_string().lines().map(str::to_owned).collect();
        return lines.iter().try_for_each(|line| output.line(line));
    }
    let source = |name| loaded.sources.get(name).copied().unwrap_or_default().to_string();
    let sources: Map<String, Value> =
        KEYS.iter().map(|key| (key.name.to_owned(), json!(source(key.name)))).collect();
    let settings = serde_json::to_value(&loaded.settings).map_err(std::io::Error::from)?;
    output.value(&json!({"settings": settings, "sources": sources}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_those_of_a_service() {
        let global = Global {
            broker: Some("memory".into()),
            config: Some("x.toml".into()),
            ..Global::default()
        };
        assert_eq!(arguments(&global), ["--broker", "memory", "--config", "x.toml"]);
    }
}
