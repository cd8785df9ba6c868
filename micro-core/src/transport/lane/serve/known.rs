//! The routes that a client has announced, and what their handlers are known to cost.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::{BoxFuture, Outcome};
use crate::status::Result;
use crate::transport::Route;
use crate::wire::MAX_ROUTES;

/// A handler that keeps the reader longer than [`SLOW`] twice within a few calls, or than [`VERY_SLOW`]
/// once, gets tasks of its own, so that it does not hold up its neighbours, until [`QUICK`] of them were
/// quick. Once is not enough: the first call is cold, and any call can lose its core for a while. Spawning
/// costs about 1 us.
const SLOW: Duration = Duration::from_micros(100);
const VERY_SLOW: Duration = Duration::from_millis(10);
/// More than a handler that is slow now and then would reach.
const QUICK: u32 = 256;

/// The routes that a client has announced, by their numbers.
#[derive(Default)]
pub(super) struct Routes(Vec<Option<Box<Known>>>);

impl Routes {
    pub(super) fn find(&mut self, number: u32) -> Option<&mut Known> {
        self.0.get_mut(number as usize)?.as_deref_mut()
    }

    /// `false` when the number is too large, or stands for a route already.
    pub(super) fn insert(&mut self, number: u32, route: Result<Route>) -> bool {
        let number = number as usize;
        if number >= MAX_ROUTES || self.0.get(number).is_some_and(Option::is_some) {
            return false;
        }
        if self.0.len() <= number {
            self.0.resize_with(number + 1, || None);
        }
        self.0[number] = Some(Box::new(Known { route, cost: Arc::default() }));
        true
    }
}

pub(super) struct Known {
    pub(super) route: Result<Route>,
    pub(super) cost: Arc<Cost>,
}

/// How slow a handler was of late. Its tasks tell too, so that what was slow once is not so for ever.
#[derive(Default)]
pub(super) struct Cost(AtomicU32);

impl Cost {
    /// What a slow call adds, where a quick one takes one off.
    const STEP: u32 = 8;
    const LIMIT: u32 = 2 * Self::STEP;

    pub(super) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::LIMIT
    }

    /// A handler was polled for so long. Of two that tell at once one may be lost, which does no harm.
    pub(super) fn took(&self, time: Duration) {
        let before = self.0.load(Ordering::Relaxed);
        let after = match time {
            time if time > VERY_SLOW => Self::LIMIT,
            time if time > SLOW => before + Self::STEP,
            _ if before == 0 => return,
            _ => before - 1,
        };
        let is_slow = after >= Self::LIMIT && time > SLOW;
        self.0.store(if is_slow { Self::LIMIT + QUICK } else { after }, Ordering::Relaxed);
    }
}

/// A call in a task of its own, because its handler was slow; tells whether it still is.
pub(super) fn watched(
    cost: Arc<Cost>,
    mut run: BoxFuture<'static, Outcome>,
) -> BoxFuture<'static, Outcome> {
    Box::pin(poll_fn(move |cx| {
        let began = Instant::now();
        let poll = run.as_mut().poll(cx);
        cost.took(began.elapsed());
        poll
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_twice_within_a_few_calls_and_passes() {
        let (cost, quick) = (Cost::default(), Duration::from_micros(1));
        cost.took(2 * SLOW);
        assert!(!cost.is_slow(), "once");
        (0..Cost::STEP).for_each(|_| cost.took(quick));
        cost.took(2 * SLOW);
        assert!(!cost.is_slow(), "forgotten");
        cost.took(2 * SLOW);
        assert!(cost.is_slow(), "twice");
        (0..QUICK).for_each(|_| cost.took(quick));
        assert!(cost.is_slow(), "not long enough");
        cost.took(quick);
        assert!(!cost.is_slow(), "quick again");
        cost.took(2 * VERY_SLOW);
        assert!(cost.is_slow(), "very slow");
    }
}
