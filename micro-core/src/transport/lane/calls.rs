//! The calls of a connection that wait for their replies, one slot each.

use std::task::{Context, Poll, Waker};

use slab::Slab;
use tokio::time::Instant;

use super::routes::Routes;
use crate::call::Outcome;
use crate::status::Status;
use crate::transport::late;

/// What the callers, the reader and the sweeper of a connection share.
#[derive(Default)]
pub(super) struct Calls {
    waiting: Slab<Waiting>,
    pub(super) routes: Routes,
    /// Calls that were put on the lane, to compare with what a GOAWAY says was taken.
    sent: u64,
    /// Tells a call from an earlier one in the same slot.
    generation: u32,
    /// The sweep comes at this time, if it comes: no call ends earlier.
    sweep: Option<Instant>,
    /// Own streams under way, which closing waits for.
    pub(super) streams: usize,
    /// Takes no more calls.
    pub(super) closed: bool,
}

struct Waiting {
    generation: u32,
    route: u32,
    number: u64,
    deadline: Instant,
    state: State,
}

enum State {
    /// Who is woken at the end, once somebody has asked.
    Waits(Option<Waker>),
    Ended(Outcome),
}

impl Calls {
    /// The id of the next call.
    pub(super) fn next_id(&self) -> u64 {
        let generation = self.generation.wrapping_add(1);
        u64::from(generation) << 32 | self.waiting.vacant_key() as u64
    }

    /// The call with that id was sent; `true` when the sweep has to come earlier for it.
    pub(super) fn sent(&mut self, route: u32, deadline: Instant, waker: Option<Waker>) -> bool {
        self.generation = self.generation.wrapping_add(1);
        self.sent += 1;
        let (generation, number) = (self.generation, self.sent);
        let state = State::Waits(waker);
        self.waiting.insert(Waiting { generation, route, number, deadline, state });
        let is_earlier = self.sweep.is_none_or(|sweep| deadline < sweep);
        if is_earlier {
            self.sweep = Some(deadline);
        }
        is_earlier
    }

    /// The end of a call, once.
    pub(super) fn poll(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let State::Waits(waker) = &mut self.waiting[slot(id)].state {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        match self.waiting.remove(slot(id)).state {
            State::Ended(outcome) => Poll::Ready(outcome),
            State::Waits(_) => unreachable!("looked at above"),
        }
    }

    /// Nobody waits for the call any more; `true` when its end has not come.
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        self.waiting.try_remove(slot(id)).is_some_and(|waiting| waiting.waits())
    }

    /// Hands a reply to its caller; a caller that has gone, or a false id, has no slot.
    pub(super) fn end(&mut self, id: u64, outcome: Outcome, wakers: &mut Vec<Waker>) {
        if let Some(waiting) = self.waiting.get_mut(slot(id))
            && waiting.generation == (id >> 32) as u32
        {
            waiting.end(outcome, wakers);
        }
    }

    /// Ends every call above this number.
    pub(super) fn end_above(
        &mut self,
        number: u64,
        status: impl Fn() -> Status,
        wakers: &mut Vec<Waker>,
    ) {
        for (_, waiting) in &mut self.waiting {
            if waiting.number > number {
                waiting.end(Err(status()), wakers);
            }
        }
    }

    /// How many calls have a slot.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all calls have ended.
    pub(super) fn is_idle(&self) -> bool {
        self.streams == 0 && !self.waiting.iter().any(|(_, waiting)| waiting.waits())
    }

    /// When the next sweep comes; never while nobody waits.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.sweep
    }

    /// Ends the calls whose deadline has passed: their ids, for the server. Looks at all calls, but only
    /// when one may be late, which with equal timeouts is hardly ever.
    pub(super) fn sweep(&mut self, now: Instant, wakers: &mut Vec<Waker>) -> Vec<u64> {
        let (mut late_ones, mut next) = (Vec::new(), None);
        for (slot, waiting) in &mut self.waiting {
            if !waiting.waits() {
                continue;
            }
            if waiting.deadline > now {
                next =
                    Some(next.map_or(waiting.deadline, |next: Instant| next.min(waiting.deadline)));
                continue;
            }
            let target = self.routes.target(waiting.route);
            waiting.end(Err(late(&target)), wakers);
            late_ones.push(u64::from(waiting.generation) << 32 | slot as u64);
        }
        self.sweep = next;
        late_ones
    }
}

impl Waiting {
    fn waits(&self) -> bool {
        matches!(self.state, State::Waits(_))
    }

    fn end(&mut self, outcome: Outcome, wakers: &mut Vec<Waker>) {
        if let State::Waits(waker) = &mut self.state {
            wakers.extend(waker.take());
            self.state = State::Ended(outcome);
        }
    }
}

fn slot(id: u64) -> usize {
    (id & u64::from(u32::MAX)) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::call::{Reply, Target};
    use crate::status::Code;

    fn calls() -> Calls {
        let mut calls = Calls::default();
        calls.routes.announce(&Target::new("greeter", "hello"));
        calls
    }

    fn reply(calls: &mut Calls, id: u64) -> Poll<Outcome> {
        calls.poll(id, &mut Context::from_waker(Waker::noop()))
    }

    fn done() -> Outcome {
        Ok(Reply::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_to_an_earlier_call_of_the_slot_is_nobodys() {
        let (mut calls, mut wakers) = (calls(), Vec::new());
        let first = calls.next_id();
        calls.sent(0, Instant::now(), None);
        assert!(calls.cancel(first));
        let second = calls.next_id();
        calls.sent(0, Instant::now(), None);
        assert_eq!(slot(first), slot(second));
        calls.end(first, done(), &mut wakers);
        assert!(reply(&mut calls, second).is_pending());
        calls.end(second, done(), &mut wakers);
        assert_eq!(wakers.len(), 1);
        assert!(reply(&mut calls, second).is_ready());
        assert!(calls.is_idle() && calls.waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_ends_what_is_late_and_comes_when_the_next_is() {
        let (mut calls, mut wakers) = (calls(), Vec::new());
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let ids: Vec<u64> = [5, 2, 9]
            .map(|seconds| {
                let id = calls.next_id();
                // The first sets the time of the sweep, and the second is earlier.
                assert_eq!(calls.sent(0, at(seconds), None), seconds != 9);
                id
            })
            .to_vec();
        assert_eq!(calls.next_sweep(), Some(at(2)));
        assert_eq!(calls.sweep(at(6), &mut wakers), ids[..2]);
        assert_eq!(calls.next_sweep(), Some(at(9)));
        let Poll::Ready(Err(status)) = reply(&mut calls, ids[0]) else {
            panic!("is late");
        };
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(status.message().contains("greeter.hello"), "{status}");
        assert_eq!(calls.sweep(at(9), &mut wakers), ids[2..]);
        assert_eq!(calls.next_sweep(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_above_a_goaway_end_and_those_below_do_not() {
        let (mut calls, mut wakers) = (calls(), Vec::new());
        let ids: Vec<u64> = (0..4)
            .map(|_| {
                let id = calls.next_id();
                calls.sent(0, Instant::now(), None);
                id
            })
            .collect();
        calls.end_above(2, || Status::unavailable("not taken"), &mut wakers);
        let ended: Vec<bool> = ids.iter().map(|id| reply(&mut calls, *id).is_ready()).collect();
        assert_eq!(ended, [false, false, true, true]);
    }
}
