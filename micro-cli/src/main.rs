//! `micro`, the command: finds services as they find each other, and calls, describes and listens to them.
//!
//! One invocation: `args` -> `session` (settings, a client without a listener) -> the command's own module
//! -> `output`, or `failure` and its exit code.

#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Options, Session};

mod args;
mod call;
mod describe;
mod failure;
mod health;
mod input;
mod json;
mod list;
mod new;
mod output;
mod publish;
mod session;
mod settings;
mod subscribe;

fn main() -> ExitCode {
    let args = Args::parse();
    let style = output::Style { json: args.global.json, colours: output::colours() };
    match run(args, style) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(style, std::io::stderr().is_terminal()),
    }
}

fn run(args: Args, style: output::Style) -> Result<(), Failure> {
    let Args { global, command } = args;
    let mut output = Output::new(style);
    match command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "micro", &mut script);
            return output.raw(&script);
        }
        Command::New(new) => return new::run(&new, &mut output),
        Command::Config => return settings::show(&settings::load(&global)?, &mut output),
        _ => {}
    }
    let loaded = settings::load(&global)?;
    // One thread is enough for one call, and is there sooner than several.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(connected(command, loaded, &mut output));
    // A thread may still wait for a line of the standard input; nobody needs it any more.
    runtime.shutdown_background();
    done
}

/// Runs a command that talks to services; Ctrl-C and SIGTERM cancel what it has begun.
async fn connected(
    command: Command,
    loaded: micro_core::config::Loaded,
    output: &mut Output,
) -> Result<(), Failure> {
    let options = match &command {
        Command::Subscribe(_) => Options::listener(),
        _ => Options::client(),
    };
    let session = Session::start(loaded, options).await?;
    let work = async {
        match &command {
            Command::Call(call) => call::run(&session, call, output).await,
            Command::Describe { service } => describe::run(&session, service, output).await,
            Command::Health { service } => health::run(&session, service.as_deref(), output).await,
            Command::List => list::run(&session, output).await,
            Command::Publish(publish) => publish::run(&session, publish, output).await,
            Command::Subscribe(subscribe) => subscribe::run(&session, subscribe, output).await,
            Command::Completions { .. } | Command::Config | Command::New(_) => Ok(()),
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = session::interrupted() => match command {
            // Nothing else ends a subscription.
            Command::Subscribe(_) => Ok(()),
            _ => Err(Failure::Interrupted),
        },
    };
    session.close().await;
    done
}
