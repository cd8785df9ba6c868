//! Balance: which of several instances gets the next call.

use std::fmt;

mod p2c;

pub use p2c::PowerOfTwo;

/// Chooses an instance. Synchronous and pure: no waiting, no I/O.
pub trait Balancer: fmt::Debug + Send + Sync + 'static {
    /// The index of the chosen candidate; `None` only when there are none. `random` is 64 random bits.
    fn pick(&self, candidates: &[Candidate], random: u64) -> Option<usize>;
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
