//! The better of two random instances, by latency x calls in flight (Mitzenmacher 2001; the measure is
//! Finagle's). Two suffice: the load of the fullest instance falls from log n to log log n.

use super::{Balancer, Candidate, Candidates};

/// Power of two choices.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerOfTwo;

impl Balancer for PowerOfTwo {
    fn pick(&self, candidates: &dyn Candidates, random: u64) -> Option<usize> {
        let (a, b) = two(candidates.count(), random)?;
        let (first, second) = (candidates.candidate(a), candidates.candidate(b));
        if first.resting || second.resting {
            return among_healthy(candidates, random);
        }
        Some(if cost(first) <= cost(second) { a } else { b })
    }
}

/// A resting instance is chosen only when all rest: calling one that may fail beats not calling.
#[cold]
fn among_healthy(candidates: &dyn Candidates, random: u64) -> Option<usize> {
    let all = 0..candidates.count();
    let healthy = all.clone().filter(|i| !candidates.candidate(*i).resting);
    let eligible = |n: usize| healthy.clone().nth(n);
    // Other bits: those given are not random any more, as they have met an instance that rests.
    let random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    let (a, b) = match two(healthy.clone().count(), random) {
        Some((a, b)) => (eligible(a)?, eligible(b)?),
        None => two(all.len(), random)?,
    };
    let cheaper = cost(candidates.candidate(a)) <= cost(candidates.candidate(b));
    Some(if cheaper { a } else { b })
}

/// Two numbers below `count`, which differ unless it is one.
fn two(count: usize, random: u64) -> Option<(usize, usize)> {
    // Multiplying the halves spreads them over the range without a division.
    let below = |random: u32, count: usize| ((u64::from(random) * count as u64) >> 32) as usize;
    match count {
        0 => None,
        1 => Some((0, 0)),
        count => {
            let first = below(random as u32, count);
            let second = first + 1 + below((random >> 32) as u32, count - 1);
            Some((first, if second < count { second } else { second - count }))
        }
    }
}

/// What the next call would cost there. An instance that was never called is tried at once, and by one
/// call at a time until it has answered.
fn cost(candidate: Candidate) -> u128 {
    let Candidate { in_flight, latency, resting: _ } = candidate;
    match (latency, in_flight) {
        (0, 0) => 0,
        (0, _) => u128::MAX,
        (latency, in_flight) => u128::from(latency) * (u128::from(in_flight) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share<const N: usize>(candidates: [Candidate; N], index: usize) -> usize {
        let picks = (0..1_000).map(|_| PowerOfTwo.pick(&candidates, crate::id::noise()));
        picks.filter(|pick| *pick == Some(index)).count()
    }

    const FAST: Candidate = Candidate { in_flight: 0, latency: 1_000, resting: false };

    #[test]
    fn nothing_is_picked_from_nothing() {
        assert_eq!(PowerOfTwo.pick(&[], 7), None);
    }

    #[test]
    fn equal_instances_share_equally() {
        for i in 0..4 {
            assert!((150..350).contains(&share([FAST; 4], i)), "{i}");
        }
    }

    #[test]
    fn the_slower_and_the_busier_get_less() {
        let slow = Candidate { latency: 100_000, ..FAST };
        let busy = Candidate { in_flight: 9, ..FAST };
        assert_eq!(share([FAST, slow], 1), 0);
        assert_eq!(share([busy, FAST], 0), 0);
        assert!(share([slow, FAST, FAST], 0) < 50);
    }

    #[test]
    fn a_resting_instance_is_left_alone_unless_all_rest() {
        let resting = Candidate { resting: true, ..FAST };
        assert_eq!(share([resting, FAST], 0), 0);
        assert!(share([resting, resting], 0) > 300);
    }
}
