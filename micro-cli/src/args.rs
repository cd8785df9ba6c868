//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand};
use clap_complete::Shell;
use micro_core::{Pattern, Topic};

/// What `-h` and `--help` both end with.
macro_rules! exits {
    () => {
        "\
Backends and timeouts come from micro.toml, then the environment (MICRO_REGISTRY, ..), then flags, as for \
services; `micro config` shows what is in force.

Exit codes:
    0  done
    1  the call failed; the status code and the correlation id are on the standard error output
    2  the command line is wrong
    3  no such service or handler, or no instance of it
    4  the JSON does not fit what the handler or the event takes; nothing was sent
    5  the deadline passed
   78  the configuration is wrong
  130  interrupted"
    };
}

const AFTER_LONG: &str = concat!(
    exits!(),
    "

With --json every line of the standard output is one JSON value:
  call       the reply, or each item
  config     {settings, sources}
  describe   {name, version, docs, methods, subscriptions, emits, interceptors}
  health     [{service, id, address, pid, status, uptime, running, version, error}], where status is
             serving, draining or unreachable
  list       [{service, version, handlers, subscriptions, instances: [{id, address, pid, error}]}]
  new        {path, name}
  publish    {topic, groups}
  subscribe  {topic, id, key, body} for each event
and a failure is one object on the standard error output, {error: {exit, message, ..}}, with these keys where \
they apply: code, correlation, executed (yes, no, maybe), retry_after_ms, fault {name, value}, known, \
mismatches [{path, problem}], expected, line."
);

/// Call, describe and listen to services, and begin new ones.
#[derive(Debug, Parser)]
#[command(name = "micro", version, after_help = exits!(), after_long_help = AFTER_LONG)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Global {
    /// Where services find each other: local, local:///dir, mdns or memory
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) registry: Option<OsString>,
    /// Where events go: direct or memory
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) broker: Option<OsString>,
    /// How calls travel: quic, tcp, auto or memory
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) transport: Option<OsString>,
    /// The configuration file, instead of ./micro.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON for programs, failures included; see --help
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Log what happens; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Call a handler and print its reply
    Call(Call),
    /// Print a script that completes commands: source <(micro completions bash)
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Show the settings in force and where each came from
    Config,
    /// Show the handlers, events and types of a service, as it describes itself
    Describe {
        /// Its name
        service: String,
    },
    /// Ask every instance how it is; exit code 1 unless all serve
    Health {
        /// Of this service only
        service: Option<String>,
    },
    /// List the services that the registry knows
    List,
    /// Begin a project: a service that compiles, runs and tests as it is
    New(New),
    /// Publish an event and wait until the subscribers of every group have it
    Publish(Publish),
    /// Print events as they come, until Ctrl-C
    Subscribe(Subscribe),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The JSON is the handler's argument itself, or an object by name if it takes several. It is checked against \
the schema of the running service before anything is sent.

What the server streams is printed an item a line as it comes. What the client streams is read from the \
standard input, a JSON value a line; the JSON argument then holds the arguments beside the stream, if any. \
Ctrl-C cancels the call on the server.")]
pub(crate) struct Call {
    /// What to call, e.g. greeter.hello
    #[arg(value_name = "SERVICE.METHOD", value_parser = target)]
    pub(crate) target: (String, String),
    /// The request; `-` reads it from the standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) body: Option<String>,
    /// Send a value beside the request; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// How long to wait for the end of the call, e.g. 500ms, 2s, 1m
    #[arg(short, long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The name of the service, the package and the directory
    pub(crate) name: String,
    /// Depend on the checkout of micro in this directory, instead of on a published version
    #[arg(long, value_name = "CHECKOUT")]
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// The topic, e.g. orders.created
    #[arg(value_parser = topic)]
    pub(crate) topic: Topic,
    /// The event; `-` reads it from the standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) body: String,
    /// Events with the same key are handled in order
    #[arg(short, long)]
    pub(crate) key: Option<String>,
    /// Send a value beside the event; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// How long to wait for the subscribers, e.g. 500ms, 2s, 1m; `drain_timeout` unless given
    #[arg(short, long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Subscribe {
    /// The topics: `*` stands for one word, a last `>` for all that follow
    #[arg(value_parser = pattern)]
    pub(crate) pattern: Pattern,
    /// Share the events with the other members of this group, instead of getting all
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// End after this many events
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

fn target(text: &str) -> Result<(String, String), String> {
    // The last dot: names of services may hold some.
    match text.rsplit_once('.') {
        Some((service, method)) if !service.is_empty() && !method.is_empty() => {
            Ok((service.to_owned(), method.to_owned()))
        }
        _ => Err("write the service and the handler, e.g. greeter.hello".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as key=value")?;
    // The limits on one pair; those on all together are checked when they are put together.
    let checked = micro_core::Metadata::new().insert(key, value);
    checked.map(|()| (key.to_owned(), value.to_owned())).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    match micro_core::config::parse_duration(text) {
        Some(time) if !time.is_zero() => Ok(time),
        Some(_) => Err("must be longer than nothing".to_owned()),
        None => Err("write a whole number and a unit: 250ms, 5s, 2m or 1h".to_owned()),
    }
}

fn topic(text: &str) -> Result<Topic, String> {
    Topic::parse(text).map_err(|status| status.message().to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|status| status.message().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["micro"].iter().chain(line))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_call_is_read_with_everything() {
        let line =
            ["call", "shop.v2.hello", "-7", "-m", "a=b=c", "--metadata", "d=", "-t", "250ms"];
        let Command::Call(call) = parse(&line).expect("valid").command else { panic!("a call") };
        assert_eq!(call.target, ("shop.v2".to_owned(), "hello".to_owned()));
        assert_eq!(call.body.as_deref(), Some("-7"));
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(call.metadata, [pair("a", "b=c"), pair("d", "")]);
        assert_eq!(call.timeout, Some(Duration::from_millis(250)));
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let before = parse(&["--json", "--registry", "mdns", "list"]).expect("valid");
        let after = parse(&["list", "--json", "--registry=mdns"]).expect("valid");
        for args in [before, after] {
            assert!(args.global.json);
            assert_eq!(args.global.registry, Some("mdns".into()));
        }
    }

    #[test]
    fn what_is_wrong_is_a_usage_error() {
        for line in [
            &["call", "greeter"][..],
            &["call", ".hello"],
            &["call", "greeter."],
            &["call", "a.b", "--timeout", "soon"],
            &["call", "a.b", "--timeout", "0s"],
            &["call", "a.b", "-m", "novalue"],
            &["call", "a.b", "-m", "Bad Key=1"],
            &["publish", "orders.*", "1"],
            &["publish", "orders"],
            &["subscribe", "a..b"],
            &["subscribe", "a", "--count", "0"],
            &["completions", "cmd"],
            &["nonsense"],
            &[],
        ] {
            let error = parse(line).expect_err("refused");
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        for code in ["0", "1", "2", "3", "4", "5", "78", "130"] {
            let line = format!("{code:>5}  ");
            assert!(AFTER_LONG.contains(&line), "{code}");
        }
    }
}
