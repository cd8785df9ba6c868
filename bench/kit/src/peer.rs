//! The two halves of a peer, and what it implements.

use std::future::Future;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use crate::args::{Command, Half, Measure, Mode, Place};
use crate::tally::Tally;
use crate::{clock, modes};

/// A framework to measure.
pub trait Peer {
    /// Its variants, each with a line on what it is.
    const VARIANTS: &'static [(&'static str, &'static str)];

    /// Serves until the process ends. Calls [`Server::ready`] when it listens.
    fn serve(server: Server) -> impl Future<Output = Result<()>>;

    /// Measures: hands a way to connect to [`Client::drive`], or ways to publish and subscribe to
    /// [`Client::fan_out`].
    fn client(client: Client) -> impl Future<Output = Result<()>>;

    /// Runs [`on_own_runtime`] on the runtime that the framework makes, if it makes one.
    fn own_runtime() -> Option<ExitCode> {
        None
    }
}

/// A connection to the server of a peer. Modes that a peer does not have stay as they are here.
pub trait Connection: Clone + Send + Sync + 'static {
    /// What calls over it.
    type Caller: Caller;

    /// A closed-loop caller that sends payloads of this size.
    fn caller(&self, size: usize) -> impl Future<Output = Result<Self::Caller>> + Send;

    /// Reads a server stream of `count` messages with payloads of this size; returns how many came.
    fn items(&self, count: u64, size: usize) -> impl Future<Output = Result<u64>> + Send {
        let _ = (count, size);
        async { bail!("unsupported: this variant has no streams") }
    }

    /// A call that the server never answers.
    fn hold(&self) -> impl Future<Output = Result<()>> + Send {
        async { bail!("unsupported: this variant has no call that never ends") }
    }
}

/// Makes one call after another.
pub trait Caller: Send + 'static {
    /// Sends a message with this id and returns what came back.
    fn call(&mut self, id: u64) -> impl Future<Output = Result<Echo>> + Send;
}

/// What came back, for the kit to compare with what was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo {
    /// The id of the message.
    pub id: u64,
    /// Bytes of its payload.
    pub len: usize,
}

/// The server half at work.
#[derive(Debug)]
pub struct Server {
    /// Which variant to serve.
    pub variant: String,
}

impl Server {
    /// Says that the server listens here. From now on the process ends when its stdin does, so that no
    /// server outlives the one who started it.
    ///
    /// # Errors
    /// Nobody reads stdout.
    pub fn ready(&self, address: SocketAddr) -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "ready {address}")?;
        out.flush()?;
        std::thread::spawn(|| {
            // An error is an end too.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
        Ok(())
    }

    /// The error of a variant that is in the list but not in `serve`.
    pub fn unknown<T>(&self) -> Result<T> {
        bail!("no server for the variant `{}`", self.variant)
    }
}

/// The client half at work.
#[derive(Debug)]
pub struct Client {
    /// Which variant to measure.
    pub variant: String,
    /// Where the server is.
    pub address: SocketAddr,
    pub(crate) measure: Measure,
}

impl Client {
    /// What is measured.
    pub fn mode(&self) -> Mode {
        self.measure.mode
    }

    /// Measures over connections that `connect` opens, each of them new.
    ///
    /// # Errors
    /// A call failed, a reply was not what was sent, or the variant lacks the mode.
    pub async fn drive<C, F>(&self, connect: impl Fn() -> F) -> Result<()>
    where
        C: Connection,
        F: Future<Output = Result<C>>,
    {
        modes::run(self, connect).await
    }

    /// Measures fan-out. `subscribe` adds one subscriber on a connection of its own, which counts each
    /// message in the tally; `publish` publishes so many messages of this size, and may return before they
    /// are delivered.
    ///
    /// # Errors
    /// As [`Client::drive`].
    pub async fn fan_out<S, P>(
        &self,
        subscribe: impl Fn(Tally) -> S,
        publish: impl Fn(u64, usize) -> P,
    ) -> Result<()>
    where
        S: Future<Output = Result<()>>,
        P: Future<Output = Result<()>>,
    {
        modes::fan_out(self, subscribe, publish).await
    }

    /// The error of a variant that is in the list but not in `client`.
    pub fn unknown<T>(&self) -> Result<T> {
        bail!("no client for the variant `{}`", self.variant)
    }
}

/// The arguments of a process with `--runtime own`: its command line belongs to the framework.
const ARGUMENTS: &str = "BENCH_ARGUMENTS";

/// The `main` of a peer.
pub fn main<P: Peer>() -> ExitCode {
    if std::env::var_os(ARGUMENTS).is_some() {
        return P::own_runtime().unwrap_or(ExitCode::FAILURE);
    }
    let half = Command::parse().half;
    report(match &half {
        Half::Variants => {
            P::VARIANTS.iter().for_each(|(name, what)| println!("{name:<16} {what}"));
            Ok(())
        }
        Half::Server { place, .. } | Half::Client { place, .. } => {
            place.prepare().and_then(|runtime| match runtime {
                Some(runtime) => {
                    let outcome = runtime.block_on(run::<P>(half));
                    // What is still open need not be closed in good order: the measurement is over.
                    runtime.shutdown_background();
                    outcome
                }
                None => Err(again_without_arguments()),
            })
        }
    })
}

/// What [`Peer::own_runtime`] runs.
pub async fn on_own_runtime<P: Peer>() -> ExitCode {
    let arguments = std::env::var(ARGUMENTS).unwrap_or_default();
    let command = Command::parse_from(std::iter::once("peer").chain(arguments.split('\n')));
    report(run::<P>(command.half).await)
}

fn report(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run<P: Peer>(half: Half) -> Result<()> {
    crate::tls::install();
    match half {
        Half::Variants => Ok(()),
        Half::Server { variant, .. } => {
            known::<P>(&variant)?;
            P::serve(Server { variant }).await
        }
        Half::Client { variant, address, measure, .. } => {
            known::<P>(&variant)?;
            P::client(Client { variant, address, measure }).await
        }
    }
}

fn known<P: Peer>(variant: &str) -> Result<()> {
    if P::VARIANTS.iter().any(|(name, _)| *name == variant) {
        return Ok(());
    }
    let names: Vec<_> = P::VARIANTS.iter().map(|(name, _)| *name).collect();
    bail!("no variant `{variant}` (there are: {})", names.join(", "))
}

impl Place {
    /// Pins the process, and builds the runtime unless it is the framework's.
    fn prepare(&self) -> Result<Option<tokio::runtime::Runtime>> {
        if let Some(core) = self.core {
            clock::pin(core)?;
        }
        Ok(self.runtime.build().transpose()?)
    }
}

/// Becomes the same program without arguments, pinned as it is; why that is not possible.
fn again_without_arguments() -> anyhow::Error {
    use std::os::unix::process::CommandExt;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    std::process::Command::new(program).env(ARGUMENTS, arguments.join("\n")).exec().into()
}
