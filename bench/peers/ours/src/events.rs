//! The event that is fanned out, and who listens to it.

use anyhow::Result;
use kit::Tally;
use micro::Blob;
use micro::prelude::*;

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

impl Subscriber {
    /// A subscriber as a process would be: an app of its own, with its own socket and connection.
    pub async fn start(settings: micro::Settings, tally: Tally) -> Result<()> {
        let running = App::new().service(Self { tally }).settings(settings).start().await;
        let running = running.map_err(Status::into_error)?;
        // It listens until the process ends.
        std::mem::forget(running);
        Ok(())
    }
}
