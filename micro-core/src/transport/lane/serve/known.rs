//! The routes that a client has announced, and what their handlers are known to cost.

use std::time::Duration;

use crate::status::Result;
use crate::transport::Route;
use crate::wire::MAX_ROUTES;

/// A handler that keeps the reader longer than [`SLOW`] twice within a few calls, or than [`VERY_SLOW`]
/// once, gets tasks of its own from then on, so that it does not hold up its neighbours. Once is not
/// enough: the first call is cold, and any call can lose its core for a while. Spawning costs about 1 us.
const SLOW: Duration = Duration::from_micros(100);
const VERY_SLOW: Duration = Duration::from_millis(10);

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
        self.0[number] = Some(Box::new(Known { route, slowness: 0 }));
        true
    }
}

pub(super) struct Known {
    pub(super) route: Result<Route>,
    slowness: u32,
}

impl Known {
    /// What a slow call adds, where a quick one takes one off.
    const STEP: u32 = 8;

    pub(super) fn is_slow(&self) -> bool {
        self.slowness >= 2 * Self::STEP
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.slowness = match time {
            time if time > VERY_SLOW => 2 * Self::STEP,
            time if time > SLOW => self.slowness + Self::STEP,
            _ => self.slowness.saturating_sub(1),
        };
    }
}
