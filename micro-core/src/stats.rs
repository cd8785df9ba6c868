//! Counts of calls: how many ended how, and how long they took, without a lock and without a counter that
//! two threads write.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::status::Code;

/// Shards of a tally: one for each of the first threads that count, and one for all others.
const SHARDS: usize = 16;
const SHARED: usize = SHARDS - 1;
/// Classes of time, each twice as long as the one before.
pub const CLASSES: usize = 32;
/// Nanoseconds of the shortest class, as a power of two: about 1 us.
const SHORTEST: u32 = 10;
/// One for each code; 0 is no code.
const CODES: usize = 17;

/// What happened to the calls of one handler, or of one route. Takes at most 9 KiB, and 512 B for each
/// thread that counts here.
#[derive(Default)]
pub struct Tally {
    shards: [OnceLock<Box<Shard>>; SHARDS],
}

/// What one thread counted. Aligned so that no two threads write to one cache line or its neighbour.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    times: [AtomicU64; CLASSES],
    nanos: AtomicU64,
    errors: [AtomicU64; CODES],
    began_to_wait: AtomicU64,
    ceased_to_wait: AtomicU64,
}

/// A tally at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Tallied {
    /// Calls that ended, whatever their outcome.
    pub ended: u64,
    /// Those that ended with a status, by its code.
    pub errors: Vec<(Code, u64)>,
    /// Calls that are under way and could not be answered at once.
    pub waiting: u64,
    /// How long all calls that ended took together.
    pub time: Duration,
    /// How many took how long: class `n` is below [`Tallied::limit`] of `n` and not in a class before it.
    pub times: [u64; CLASSES],
}

impl Tally {
    /// Counts a call that ended.
    pub fn ended(&self, error: Option<Code>, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let (shard, own) = self.shard();
        own.add(&shard.times[class(nanos)], 1);
        own.add(&shard.nanos, nanos);
        if let Some(code) = error {
            own.add(&shard.errors[code as usize], 1);
        }
    }

    /// Counts a call that has to wait; [`Tally::ceased_to_wait`] ends it, on whatever thread.
    pub fn began_to_wait(&self) {
        let (shard, own) = self.shard();
        own.add(&shard.began_to_wait, 1);
    }

    /// Counts a call that waits no longer.
    pub fn ceased_to_wait(&self) {
        let (shard, own) = self.shard();
        own.add(&shard.ceased_to_wait, 1);
    }

    /// The sums of what all threads counted. What is counted meanwhile may be in some of them and not in
    /// others.
    pub fn read(&self) -> Tallied {
        let mut all = Tallied::default();
        let (mut began, mut ceased, mut nanos) = (0, 0, 0u64);
        let mut errors = [0; CODES];
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            all.times.iter_mut().zip(&shard.times).for_each(|(sum, n)| *sum += read(n));
            errors.iter_mut().zip(&shard.errors).for_each(|(sum, n)| *sum += read(n));
            nanos = nanos.wrapping_add(read(&shard.nanos));
            // In this order, so that a call that moves on meanwhile is seen to wait rather than missed.
            ceased += read(&shard.ceased_to_wait);
            began += read(&shard.began_to_wait);
        }
        all.ended = all.times.iter().sum();
        all.time = Duration::from_nanos(nanos);
        all.waiting = u64::saturating_sub(began, ceased);
        let errors = (0u8..).zip(errors).filter(|(_, count)| *count > 0);
        all.errors = errors.map(|(code, count)| (Code::from_number(code), count)).collect();
        all
    }

    fn shard(&self) -> (&Shard, Slot) {
        let slot = SLOT.try_with(|own| own.0).unwrap_or(Slot(SHARED));
        (self.shards[slot.0].get_or_init(Box::default), slot)
    }
}

impl Tallied {
    /// What every call of this class and of those before it took less than; none for the last class.
    pub fn limit(class: usize) -> Option<Duration> {
        (class + 1 < CLASSES).then(|| Duration::from_nanos(1 << (SHORTEST as usize + class)))
    }

    /// Calls that ended without an error.
    pub fn ok(&self) -> u64 {
        self.ended.saturating_sub(self.errors.iter().map(|(_, count)| count).sum())
    }

    /// What this share of the calls took less than, e.g. `0.99`, to the next power of two; none when there
    /// were no calls, or when it is beyond the longest class (about 18 minutes).
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.ended as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        let class = self.times.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Self::limit(class)
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

fn class(nanos: u64) -> usize {
    let above = (u64::BITS - nanos.leading_zeros()).saturating_sub(SHORTEST);
    (above as usize).min(CLASSES - 1)
}

/// Which shard a thread counts in.
#[derive(Clone, Copy)]
struct Slot(usize);

impl Slot {
    /// Adds to a counter of this slot's shard. Who has a shard to itself needs no read-modify-write.
    fn add(self, counter: &AtomicU64, n: u64) {
        if self.0 == SHARED {
            counter.fetch_add(n, Ordering::Relaxed);
        } else {
            let sum = counter.load(Ordering::Relaxed).wrapping_add(n);
            counter.store(sum, Ordering::Relaxed);
        }
    }
}

/// The slot of a thread, given back at its end.
struct Own(Slot);

/// The slots that threads have, a bit each.
static TAKEN: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static SLOT: Own = Own::take();
}

impl Own {
    fn take() -> Self {
        // Acquire and release: a thread that takes over a shard sees what was counted in it.
        let taken = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
            let free = taken.trailing_ones();
            ((free as usize) < SHARED).then(|| taken | 1 << free)
        });
        Self(Slot(taken.map_or(SHARED, |taken| taken.trailing_ones() as usize)))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.0.0 != SHARED {
            TAKEN.fetch_and(!(1 << self.0.0), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_one_class() {
        assert_eq!(class(0), 0);
        assert_eq!(class(1023), 0);
        assert_eq!(class(1024), 1);
        assert_eq!(class(u64::MAX), CLASSES - 1);
        for n in 0..CLASSES - 1 {
            let limit = Tallied::limit(n).expect("not the last").as_nanos() as u64;
            assert_eq!((class(limit - 1), class(limit)), (n, n + 1));
        }
        assert_eq!(Tallied::limit(CLASSES - 1), None);
    }

    #[test]
    fn outcomes_and_times_are_counted_apart() {
        let tally = Tally::default();
        for _ in 0..99 {
            tally.ended(None, Duration::from_micros(3));
        }
        tally.ended(Some(Code::NotFound), Duration::from_millis(3));
        tally.began_to_wait();
        let read = tally.read();
        assert_eq!((read.ended, read.ok(), read.waiting), (100, 99, 1));
        assert_eq!(read.errors, [(Code::NotFound, 1)]);
        assert_eq!(read.time, Duration::from_micros(99 * 3 + 3000));
        assert_eq!(read.quantile(0.5), Some(Duration::from_nanos(4096)));
        assert_eq!(read.quantile(1.0), Some(Duration::from_nanos(1 << 22)));
        assert_eq!(Tally::default().read().quantile(0.5), None);
    }

    #[test]
    fn no_count_is_lost_between_more_threads_than_shards() {
        let tally = Tally::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 * SHARDS {
                    scope.spawn(|| {
                        for _ in 0..1_000 {
                            tally.began_to_wait();
                            tally.ended(None, Duration::ZERO);
                            tally.ceased_to_wait();
                        }
                    });
                }
            });
        }
        let read = tally.read();
        assert_eq!((read.ended, read.waiting), (3 * 2 * SHARDS as u64 * 1_000, 0));
    }
}
