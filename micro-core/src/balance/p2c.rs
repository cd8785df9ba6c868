//! The better of two random instances, by latency x calls in flight (Mitzenmacher 2001; the measure is
//! Finagle's). Two suffice: the load of the fullest instance falls from log n to log log n.

use super::{Balancer, Candidate};

/// Power of two choices.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerOfTwo;

impl Balancer for PowerOfTwo {
    fn pick(&self, candidates: &[Candidate], random: u64) -> Option<usize> {
        // A resting instance is chosen only when all rest: calling one that may fail beats not calling.
        let healthy = candidates.iter().filter(|c| !c.resting).count();
        let all = healthy == 0;
        let count = if all { candidates.len() } else { healthy };
        let nth = |n: usize| {
            let eligible = |(_, c): &(usize, &Candidate)| all || !c.resting;
            candidates.iter().enumerate().filter(eligible).nth(n).map(|(i, _)| i)
        };
        match count {
            0 => None,
            1 => nth(0),
            count => {
                let first = (random as u32 as usize) % count;
                let step = 1 + ((random >> 32) as usize) % (count - 1);
                let (a, b) = (nth(first)?, nth((first + step) % count)?);
                Some(if cost(candidates[a]) <= cost(candidates[b]) { a } else { b })
            }
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

    fn share(candidates: &[Candidate], index: usize) -> usize {
        let picks = (0..1_000).map(|_| PowerOfTwo.pick(candidates, crate::id::noise()));
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
            assert!((150..350).contains(&share(&[FAST; 4], i)), "{i}");
        }
    }

    #[test]
    fn the_slower_and_the_busier_get_less() {
        let slow = Candidate { latency: 100_000, ..FAST };
        let busy = Candidate { in_flight: 9, ..FAST };
        assert_eq!(share(&[FAST, slow], 1), 0);
        assert_eq!(share(&[busy, FAST], 0), 0);
        assert!(share(&[slow, FAST, FAST], 0) < 50);
    }

    #[test]
    fn a_resting_instance_is_left_alone_unless_all_rest() {
        let resting = Candidate { resting: true, ..FAST };
        assert_eq!(share(&[resting, FAST], 0), 0);
        assert!(share(&[resting, resting], 0) > 300);
    }
}
