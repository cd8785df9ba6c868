//! Layers: where settings come from, each over the ones before.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{KEYS, Key, Loaded, Settings};
use crate::status::{Result, Status};
use crate::text;

/// Variables of the environment that begin with `MICRO_` and are no keys.
const OTHERS: &[&str] = &["MICRO_CONFIG", "MICRO_HOME"];
/// The prefix of variables that set a value below `[app]`: `MICRO_APP__LIMITS__MAX=5`.
const APP: &str = "MICRO_APP__";
/// The file that is read when no other is named.
const FILE: &str = "micro.toml";
/// A configuration is small; a larger file is a mistake.
const MAX_FILE: u64 = 1 << 20;

/// Where a setting came from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Source {
    /// Nobody set it.
    #[default]
    Default,
    /// The file.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// What settings are made of, given as values so that tests need no process of their own.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The file that must exist, or none to look for `micro.toml`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The arguments behind the program's name.
    pub arguments: Vec<OsString>,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To run.
    Run(Box<Loaded>),
    /// To print this and exit.
    Print(String),
}

impl Layers {
    /// Those of this process.
    pub fn of_process() -> Self {
        let text = |(key, value): (OsString, OsString)| {
            Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        Self { file: None, environment, arguments: std::env::args_os().skip(1).collect() }
    }

    /// Puts the layers together.
    ///
    /// # Errors
    /// `InvalidArgument` that names the key, where it came from, and the nearest name if it is unknown.
    pub fn load(self) -> Result<Asked> {
        let flags = match flags(self.arguments)? {
            Flags::Print(text) => return Ok(Asked::Print(text)),
            Flags::Set { config, keys } => (config, keys),
        };
        let (config, flags) = flags;
        let variable = self.environment.iter().find(|(key, _)| key == "MICRO_CONFIG");
        let file = config.or(self.file).or_else(|| variable.map(|(_, path)| path.into()));
        let mut sources = BTreeMap::new();
        let file = file.or_else(|| Some(FILE.into()).filter(|path: &PathBuf| path.exists()));
        let mut table = match &file {
            Some(path) => read(path)?,
            None => toml::Table::new(),
        };
        // Checked alone first, so that a mistake of the file is not blamed on another layer.
        let path = file.unwrap_or_default();
        settings(&table, &format!("the file {}", path.display()))?;
        sources.extend(
            KEYS.iter().filter(|k| table.contains_key(k.name)).map(|k| (k.name, Source::File)),
        );
        for (name, value) in &self.environment {
            if let Some(path) = name.strip_prefix(APP) {
                set_app(&mut table, path, value);
                continue;
            }
            if !name.starts_with("MICRO_") || OTHERS.contains(&name.as_str()) {
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.env == name) else {
                let hint = text::did_you_mean(name, KEYS.iter().map(|key| key.env));
                return Err(invalid(format!("unknown variable `{name}` in the environment{hint}")));
            };
            set(&mut table, key, value, key.env)?;
            sources.insert(key.name, Source::Environment);
        }
        for (key, value) in flags {
            set(&mut table, key, &value, &format!("--{}", key.flag))?;
            sources.insert(key.name, Source::Flag);
        }
        let settings = settings(&table, "the configuration")?;
        settings.validate()?;
        Ok(Asked::Run(Box::new(Loaded { settings, sources })))
    }
}

fn settings(table: &toml::Table, what: &str) -> Result<Settings> {
    let known = KEYS.iter().map(|key| key.name).chain(["app"]);
    if let Some(unknown) = table.keys().find(|key| known.clone().all(|name| name != *key)) {
        let hint = text::did_you_mean(unknown, known);
        return Err(invalid(format!("unknown key `{unknown}` in {what}{hint}")));
    }
    let fits = table.clone().try_into();
    fits.map_err(|error: toml::de::Error| invalid(format!("{what}: {}", error.message())))
}

fn read(path: &Path) -> Result<toml::Table> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| invalid(format!("{shown}: {error}")))?.len();
    if size > MAX_FILE {
        return Err(invalid(format!("{shown} is larger than a configuration may be (1 MiB)")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| invalid(format!("{shown}: {e}")))?;
    text.parse().map_err(|error: toml::de::Error| invalid(format!("{shown}: {error}")))
}

/// Sets a key to a text, as the type that it has.
fn set(table: &mut toml::Table, key: &Key, text: &str, from: &str) -> Result<()> {
    let value = match key.name {
        "services" => toml::Value::Array(
            text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(Into::into).collect(),
        ),
        "max_in_flight" | "quic_mtu" => match text.parse() {
            Ok(number) => toml::Value::Integer(number),
            Err(_) => return Err(invalid(format!("{from}: {text:?} is not a whole number"))),
        },
        _ => text.into(),
    };
    table.insert(key.name.to_owned(), value);
    // Looked at alone, so that the message says which layer is wrong.
    let one = toml::Table::from_iter([(key.name.to_owned(), table[key.name].clone())]);
    let fits: Result<Settings, toml::de::Error> = one.try_into();
    fits.map(drop).map_err(|error| invalid(format!("{from}: {}", error.message())))
}

/// `LIMITS__MAX` -> `[app.limits] max`. A value that reads as TOML is taken as that, else as text.
fn set_app(table: &mut toml::Table, path: &str, value: &str) {
    let path = path.to_ascii_lowercase();
    let mut steps: Vec<&str> = path.split("__").filter(|step| !step.is_empty()).collect();
    let Some(last) = steps.pop() else { return };
    let mut place = table;
    for step in ["app"].into_iter().chain(steps) {
        let entry = place.entry(step).or_insert_with(|| toml::Table::new().into());
        if !entry.is_table() {
            *entry = toml::Table::new().into();
        }
        let Some(inner) = entry.as_table_mut() else { return };
        place = inner;
    }
    let parsed: Result<toml::Table, _> = format!("v = {value}").parse();
    let value = parsed.ok().and_then(|mut t| t.remove("v")).unwrap_or_else(|| value.into());
    place.insert(last.to_owned(), value);
}

enum Flags {
    Print(String),
    Set { config: Option<PathBuf>, keys: Vec<(&'static Key, String)> },
}

fn flags(arguments: Vec<OsString>) -> Result<Flags> {
    use lexopt::prelude::*;
    let wrong = |error: lexopt::Error| invalid(error.to_string());
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut config, mut keys) = (None, Vec::new());
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Short('h') | Long("help") => return Ok(Flags::Print(help())),
            Long("config") => config = Some(parser.value().map_err(wrong)?.into()),
            Long(flag) => {
                let Some(key) = KEYS.iter().find(|key| key.flag == flag) else {
                    let hint = text::did_you_mean(flag, KEYS.iter().map(|key| key.flag));
                    return Err(invalid(format!("unknown flag `--{flag}`{hint}")));
                };
                let value = parser.value().map_err(wrong)?;
                keys.push((key, value.to_string_lossy().into_owned()));
            }
            Short(_) | Value(_) => {
                let text = argument.unexpected().to_string();
                return Err(invalid(format!("{text}; `--help` lists the flags")));
            }
        }
    }
    Ok(Flags::Set { config, keys })
}

fn help() -> String {
    let mut text = String::from("A micro service.\n\nFlags (and environment):\n");
    for Key { name: _, env, flag, help } in KEYS {
        text.push_str(&format!("  --{flag:<17} {help} [{env}]\n"));
    }
    text.push_str("  --config            the configuration file (micro.toml) [MICRO_CONFIG]\n");
    text.push_str("  --help              this text\n");
    text
}

fn invalid(text: String) -> Status {
    Status::invalid_argument(text)
}
