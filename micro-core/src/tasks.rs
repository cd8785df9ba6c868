//! Tasks of the framework: spawned here and nowhere else, so that a panic in one is logged by name and
//! ends nothing else.

use std::future::Future;

use tokio::task::AbortHandle;

/// Runs `future` beside the caller. It ends by itself, or by the handle; whoever spawns it says how.
pub(crate) fn spawn<F>(future: F) -> AbortHandle
where
    F: Future<Output = ()> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    tokio::spawn(future).abort_handle()
}

/// Aborts a task when it is dropped: for tasks that belong to a value.
#[derive(Debug)]
pub(crate) struct Owned(AbortHandle);

impl Owned {
    pub(crate) fn spawn<F>(future: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(spawn(future))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}
