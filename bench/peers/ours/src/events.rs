//! The event that is fanned out, and who listens to it.

use std::sync::Arc;

use anyhow::Result;
use kit::Tally;
use micro::Blob;
use micro::prelude::*;
use micro::registry::{LocalRegistry, Registry};

/// What is published.
#[event("bench.tick")]
pub struct Tick {
    /// As many as the cell says.
    pub payload: Blob,
}

/// Counts events.
pub struct Subscriber {
    tally: Tally,
}

#[service(manual)]
impl Subscriber {
    /// `broadcast`: every instance gets every event.
    #[subscribe(broadcast)]
    async fn count(&self, tick: Tick) {
        std::hint::black_box(&tick.payload);
        self.tally.add(1);
    }
}

/// The registry of the machine, for all subscribers together. Each process looks at every record 20 times a
/// second: a hundred of them in one process would give half of its core to that, and no machine has as many.
pub fn registry() -> Result<Arc<dyn Registry>> {
    let directory = std::path::Path::new(&std::env::var("MICRO_HOME")?).join("registry");
    Ok(Arc::new(LocalRegistry::open(directory)?))
}

impl Subscriber {
    /// A subscriber as a process would be: an app of its own, with its own socket and connection.
    pub async fn start(
        settings: micro::Settings,
        registry: Arc<dyn Registry>,
        tally: Tally,
    ) -> Result<()> {
        let app = App::new().service(Self { tally }).settings(settings).registry(registry);
        let running = app.start().await;
        let running = running.map_err(Status::into_error)?;
        // It listens until the process ends.
        std::mem::forget(running);
        Ok(())
    }
}
