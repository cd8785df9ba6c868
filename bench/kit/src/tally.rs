//! Counts deliveries of fan-out across all subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long without any delivery means that none will come.
const STALLED: Duration = Duration::from_secs(3);

/// How many messages have been delivered, to all subscribers together. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
}

impl Tally {
    /// Counts so many deliveries.
    pub fn add(&self, deliveries: u64) {
        let before = self.0.count.fetch_add(deliveries, Ordering::AcqRel);
        let wanted = self.0.wanted.load(Ordering::Acquire);
        if before < wanted && before + deliveries >= wanted {
            self.0.reached.notify_one();
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// Sets what [`Tally::reached`] waits for. Before the first message is published.
    pub(crate) fn want(&self, count: u64) {
        self.0.wanted.store(count, Ordering::Release);
    }

    /// Waits until all that are wanted have been delivered; how many are missing when nothing has come
    /// for a while.
    pub(crate) async fn reached(&self) -> u64 {
        loop {
            let count = self.count();
            let wanted = self.0.wanted.load(Ordering::Acquire);
            if count >= wanted {
                return 0;
            }
            let _ = timeout(STALLED, self.0.reached.notified()).await;
            let now = self.count();
            if now < wanted && now == count {
                return wanted - now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_comes_is_missing() {
        let tally = Tally::default();
        tally.want(3);
        tally.add(1);
        assert_eq!(tally.reached().await, 2);
        tally.add(2);
        assert_eq!(tally.reached().await, 0);
    }
}
