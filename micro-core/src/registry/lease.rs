//! A lease: a registration as a value, so that it cannot be forgotten.

use std::fmt;
use std::task::{Context, Poll, Waker};

use super::{InstanceId, RegistryError};
use crate::call::BoxFuture;
use crate::tasks;

/// A registration. It keeps itself alive; dropping it deregisters.
#[must_use = "dropping a lease deregisters the instance"]
pub struct Lease {
    id: InstanceId,
    end: Option<End>,
}

type End = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), RegistryError>> + Send + Sync>;

impl Lease {
    /// A lease that `end` ends, for a backend.
    ///
    /// `end` must not block, and does what it can before it returns; its future is done when others no
    /// longer see the instance, and must be bounded in time.
    pub fn new(
        id: InstanceId,
        end: impl FnOnce() -> BoxFuture<'static, Result<(), RegistryError>> + Send + Sync + 'static,
    ) -> Self {
        Self { id, end: Some(Box::new(end)) }
    }

    /// Whose it is.
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// Deregisters, and returns when the backend knows. Dropping the future leaves what has not
    /// happened by then to [`Capabilities::ttl`](super::Capabilities::ttl).
    ///
    /// # Errors
    /// When the backend could not be told; it forgets the instance after the same time.
    pub async fn release(mut self) -> Result<(), RegistryError> {
        match self.end.take() {
            Some(end) => end().await,
            None => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(end) = self.end.take() else { return };
        let mut rest = end();
        if tokio::runtime::Handle::try_current().is_err() {
            // Nothing can wait for an answer here, and the process is most likely ending: what `end`
            // did before it returned, and the time to live of the record, have to do.
            return;
        }
        // Most backends are done by now; a task is only for those that wait for an answer.
        match rest.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => log(&self.id, outcome),
            Poll::Pending => {
                let id = self.id.clone();
                tasks::spawn(async move { log(&id, rest.await) });
            }
        }
    }
}

fn log(id: &InstanceId, outcome: Result<(), RegistryError>) {
    if let Err(error) = outcome {
        tracing::warn!(%id, %error, "an instance could not be deregistered");
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.id).finish()
    }
}
