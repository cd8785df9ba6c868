//! Balance: which of several instances gets the next call.

use std::fmt;

mod p2c;

pub use p2c::PowerOfTwo;

/// Chooses an instance. Synchronous and pure: no waiting, no I/O.
pub trait Balancer: fmt::Debug + Send + Sync + 'static {
    /// The index of the chosen candidate; `None` only when there are none. `random` is 64 random bits.
    /// Not asked when there is one candidate.
    fn pick(&self, candidates: &dyn Candidates, random: u64) -> Option<usize>;
}

/// The instances to choose from, looked at one by one, so that a choice among many need not look at all.
pub trait Candidates {
    /// How many there are.
    fn count(&self) -> usize;

    /// What is known about one of them at this moment.
    ///
    /// # Panics
    /// May panic when `index` is not below [`Candidates::count`].
    fn candidate(&self, index: usize) -> Candidate;
}

impl<const N: usize> Candidates for [Candidate; N] {
    fn count(&self) -> usize {
        N
    }

    fn candidate(&self, index: usize) -> Candidate {
        self[index]
    }
}

/// What is known about an instance at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidate {
    /// Calls that have not been answered.
    pub in_flight: u32,
    /// The peak-sensitive moving average of its latency in nanoseconds; 0 when it was never called.
    pub latency: u64,
    /// Whether its last calls failed so that it rests for a while.
    pub resting: bool,
}
