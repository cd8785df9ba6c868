//! Ids that are unique across processes, made without a system call and without a shared counter each.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// 128 bits: a random half of the process and a counter, mixed so that neighbours differ visibly.
///
/// Unique, not secret: an id is a name, never a credential.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(u128);

impl Id {
    /// The id that is no id.
    pub const NIL: Self = Self(0);

    /// A new id.
    pub fn random() -> Self {
        let process = process();
        Self(u128::from(process) << 64 | u128::from(mix(count() ^ process.rotate_left(32))))
    }

    /// The id with these bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The process that made it, and its place among all that this process made: neighbours in time are
    /// neighbours here. Any other id has a place too, though it says nothing.
    pub(crate) const fn place(self) -> (u64, u64) {
        let process = (self.0 >> 64) as u64;
        (process, unmix(self.0 as u64) ^ process.rotate_left(32))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// A pseudo-random number for jitter and for choosing among equals; not for secrets.
pub(crate) fn noise() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    // The state of each thread begins at an id of its own; zero is no state.
    let state = match STATE.get() {
        0 => Id::random().0 as u64 | 1,
        state => state.wrapping_add(0x9E37_79B9_7F4A_7C15),
    };
    STATE.set(state);
    mix(state)
}

/// A number that no other call of this gets. Threads take them in blocks, so that they share nothing.
pub(crate) fn count() -> u64 {
    const BLOCK: u64 = 1 << 16;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        // The next one, which at a multiple of the block is not this thread's any more.
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    let count = match COUNT.get() {
        count if count.is_multiple_of(BLOCK) => NEXT.fetch_add(BLOCK, Ordering::Relaxed),
        count => count,
    };
    COUNT.set(count + 1);
    count
}

/// 64 random bits of this process, from the seed that std keeps for its hash maps.
fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()) | 1)
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection, so counters never collide.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The other way round: multiplication by the inverses, and each shift undone.
const fn unmix(mut x: u64) -> u64 {
    x ^= (x >> 31) ^ (x >> 62);
    x = x.wrapping_mul(0x3196_42B2_D24D_8EC3);
    x ^= (x >> 27) ^ (x >> 54);
    x = x.wrapping_mul(0x96DE_1B17_3F11_9089);
    x ^= (x >> 30) ^ (x >> 60);
    x.wrapping_sub(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_survive_their_text() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| Id::random()).collect();
        assert_eq!(ids.len(), 10_000);
        let id = Id::random();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn ids_that_follow_each_other_have_places_that_do() {
        for x in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(unmix(mix(x)), x);
        }
        let ids: Vec<_> = (0..1_000).map(|_| Id::random().place()).collect();
        assert!(ids.iter().all(|(made_by, _)| *made_by == process()));
        assert!(ids.is_sorted());
    }

    #[test]
    fn ids_differ_between_threads_and_beyond_a_block() {
        let ids = || (0..70_000).map(|_| Id::random()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(ids)).collect();
        let all: std::collections::HashSet<_> =
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(all.len(), 210_000);
    }
}
