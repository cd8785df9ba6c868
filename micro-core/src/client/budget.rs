//! The budget that repeated calls draw on, so that retries never multiply an outage.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use crate::sync::lock;

/// Repeats that each call pays for: 20 % (Finagle's figure).
const PER_CALL: f64 = 0.2;
/// Repeats that time pays for, so that rare calls can be repeated too.
const PER_SECOND: f64 = 10.0;
/// What can be saved up.
const MOST: f64 = 100.0;

/// A token bucket that calls and time fill, and repeats empty.
#[derive(Debug, Default)]
pub(super) struct Budget {
    // Counted apart, so that a call that is not repeated costs one atomic and no lock.
    calls: AtomicU32,
    bucket: Mutex<Option<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Budget {
    /// A call was made. One in so many is counted for all, chosen by `noise`, so that the others do not
    /// write what all threads share.
    #[inline]
    pub(super) fn deposit(&self, noise: u64) {
        const COUNTED: u32 = 16;
        if (noise >> 32).is_multiple_of(COUNTED.into()) {
            self.calls.fetch_add(COUNTED, Ordering::Relaxed);
        }
    }

    /// Whether one more repeat may be made; pays for it.
    pub(super) fn withdraw(&self) -> bool {
        let now = Instant::now();
        let mut bucket = lock(&self.bucket);
        let Bucket { tokens, filled } =
            bucket.get_or_insert(Bucket { tokens: PER_SECOND, filled: now });
        let calls = f64::from(self.calls.swap(0, Ordering::Relaxed));
        let seconds = now.duration_since(*filled).as_secs_f64();
        *tokens = (*tokens + calls * PER_CALL + seconds * PER_SECOND).min(MOST);
        *filled = now;
        let pays = *tokens >= 1.0;
        if pays {
            *tokens -= 1.0;
        }
        pays
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_repeated_for_a_fifth_of_the_calls_at_most() {
        let budget = Budget::default();
        let mut repeats = 0;
        for noise in 0..10_000 {
            budget.deposit(noise << 32);
            while budget.withdraw() {
                repeats += 1;
            }
        }
        assert!((2_000..=2_010).contains(&repeats), "{repeats}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_refills_up_to_a_bound() {
        let budget = Budget::default();
        while budget.withdraw() {}
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..50).filter(|_| budget.withdraw()).count(), 10);
        tokio::time::advance(Duration::from_secs(1_000)).await;
        assert_eq!((0..500).filter(|_| budget.withdraw()).count(), 100);
    }
}
