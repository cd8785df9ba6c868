//! What `#[micro::main]` becomes: configuration, logs and the runtime around the user's `main`.

use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use crate::config::{Asked, Layers, Loaded};
use crate::handler::Registration;
use crate::status::{Code, Result, Status};
use crate::sync::lock;
use crate::telemetry;
use crate::transport::Transport;

/// The process cannot run as it is configured (`EX_CONFIG` of sysexits.h).
const MISCONFIGURED: u8 = 78;

tokio::task_local! {
    static MAIN: Main;
}

/// What `main` says about its process.
#[derive(Clone)]
struct Main {
    loaded: Arc<Loaded>,
    services: Option<fn() -> Vec<Registration>>,
    /// What to close when `main` returns.
    transports: Arc<Mutex<Vec<Arc<dyn Transport>>>>,
}

/// Runs `body` on a runtime of its own. `services` are those that `#[micro::main(services(..))]` lists.
pub fn block_on<F>(services: Option<fn() -> Vec<Registration>>, body: F) -> ExitCode
where
    F: Future<Output = Result<()>>,
{
    let loaded = match Layers::of_process().load() {
        Ok(Asked::Run(loaded)) => *loaded,
        Ok(Asked::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(status) => return failed(&status),
    };
    if let Err(status) = telemetry::init(&loaded.settings.log) {
        return failed(&status);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let transports: Arc<Mutex<Vec<Arc<dyn Transport>>>> = Arc::default();
    let main = Main { loaded: Arc::new(loaded), services, transports: Arc::clone(&transports) };
    let outcome = runtime.block_on(MAIN.scope(main, body));
    for transport in std::mem::take(&mut *lock(&transports)) {
        runtime.block_on(transport.close());
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(status) => failed(&status),
    }
}

/// The settings of this process's `main`.
pub(super) fn loaded() -> Option<Loaded> {
    MAIN.try_with(|main| (*main.loaded).clone()).ok()
}

/// The services that `main` lists.
pub(super) fn listed() -> Option<Vec<Registration>> {
    MAIN.try_with(|main| main.services).ok().flatten().map(|services| services())
}

/// Closes the transport when `main` returns.
pub(super) fn closes(transport: &Arc<dyn Transport>) {
    // Without `#[micro::main]` it is closed by `shutdown` alone.
    let _ = MAIN.try_with(|main| lock(&main.transports).push(Arc::clone(transport)));
}

fn failed(status: &Status) -> ExitCode {
    eprintln!("error: {status:?}");
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument => ExitCode::from(MISCONFIGURED),
        _ => ExitCode::FAILURE,
    }
}
