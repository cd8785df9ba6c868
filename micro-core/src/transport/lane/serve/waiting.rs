//! Calls of the lane that wait: a small task for each, and one look at the deadlines of all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Answer, Served, end};
use crate::call::{BoxFuture, Outcome};
use crate::id::Id;
use crate::sync::lock;
use crate::tasks;
use crate::transport::lane::outbox::{Flush, Pushed};
use crate::transport::lane::stream::Outgoing;
use crate::transport::lane::{Link, Lost};
use crate::transport::{Rest, too_late};
use crate::wire::{End, Frame, OWN_STREAM, WireError, put_reply};

/// Calls that are late end within this; many deadlines close to each other are one sweep.
const SWEEP: Duration = Duration::from_millis(1);
/// Room for calls that an idle connection may keep.
const KEPT: usize = 64;

/// The calls of one connection that wait in tasks of their own.
#[derive(Default)]
pub(super) struct Waiters {
    calls: Mutex<Calls>,
    /// How many tasks there are; a false id can take one out of the map before its end.
    tasks: AtomicUsize,
    /// The sweep must come earlier than it thinks.
    earlier: Notify,
}

#[derive(Default)]
struct Calls {
    by_id: HashMap<u64, Call>,
    /// The sweep comes at this time: no call is late earlier. `None` while there is no sweep.
    sweep: Option<Instant>,
}

struct Call {
    /// `None` until it has been spawned.
    task: Option<AbortHandle>,
    due: Due,
}

/// When a call is late.
#[derive(Clone, Copy)]
enum Due {
    At(Instant),
    /// It has ended, and its reply is on its way.
    Ended,
    /// Its task is being dropped for that.
    Late,
}

impl Waiters {
    /// How many calls have a task.
    pub(super) fn count(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }

    /// Drops a call where it waits.
    pub(super) fn cancel(&self, id: u64) {
        let call = lock(&self.calls).by_id.remove(&id);
        if let Some(task) = call.and_then(|call| call.task) {
            task.abort();
        }
    }

    /// Drops all calls, and ends the sweep.
    pub(super) fn close(&self) {
        let calls = std::mem::take(&mut *lock(&self.calls));
        calls.by_id.values().filter_map(|call| call.task.as_ref()).for_each(AbortHandle::abort);
        self.earlier.notify_one();
    }

    /// The call has ended, and is not late any more.
    fn ended(&self, id: u64) {
        if let Some(call) = lock(&self.calls).by_id.get_mut(&id)
            && let Due::At(_) = call.due
        {
            call.due = Due::Ended;
        }
    }

    /// Takes a call out whose task ends: how it stood with it, if it was not cancelled.
    fn remove(&self, id: u64) -> Option<Due> {
        self.tasks.fetch_sub(1, Ordering::Relaxed);
        let calls = &mut *lock(&self.calls);
        let call = calls.by_id.remove(&id);
        if calls.by_id.is_empty() && calls.by_id.capacity() > KEPT {
            calls.by_id.shrink_to(0);
        }
        call.map(|call| call.due)
    }
}

impl Calls {
    /// Takes what is late, and says when to look again. Looks at all calls, but only when one may be late.
    fn late(&mut self, now: Instant) -> Vec<AbortHandle> {
        let mut late = Vec::new();
        self.sweep = None;
        for call in self.by_id.values_mut() {
            let Due::At(deadline) = call.due else { continue };
            if deadline > now {
                self.sweep = Some(self.sweep.map_or(deadline, |next| next.min(deadline)));
            } else if let Some(task) = &call.task {
                call.due = Due::Late;
                late.push(task.clone());
            } else {
                // It is being spawned on another thread.
                self.sweep = Some(now);
            }
        }
        late
    }
}

impl<L: Link> Served<L> {
    /// Lets a call wait in a task of its own, until its reply is sent or it is cancelled.
    pub(super) fn wait(self: &Arc<Self>, id: u64, rest: Rest) -> Result<(), WireError> {
        let Rest { run, deadline, correlation } = rest;
        self.spawn(id, Due::At(deadline), correlation, Stage::Runs(run))
    }

    /// Sends a reply that cannot go with the others in a task of its own.
    pub(super) fn send_apart(
        self: &Arc<Self>,
        id: u64,
        answer: Answer<L>,
    ) -> Result<(), WireError> {
        let stage = Stage::Sends(Box::pin(Arc::clone(self).send_slowly(id, answer)));
        self.spawn(id, Due::Ended, Id::NIL, stage)
    }

    fn spawn(
        self: &Arc<Self>,
        id: u64,
        due: Due,
        correlation: Id,
        stage: Stage,
    ) -> Result<(), WireError> {
        let waiters = &self.waiting;
        // Inserted before the task is there, since it may end at once.
        let earlier = {
            let calls = &mut *lock(&waiters.calls);
            let Entry::Vacant(place) = calls.by_id.entry(id) else {
                return Err(WireError::Invalid("id"));
            };
            place.insert(Call { task: None, due });
            match (due, calls.sweep) {
                (Due::At(due), None) => {
                    calls.sweep = Some(due);
                    Some(Earlier::First)
                }
                (Due::At(due), Some(sweep)) if due < sweep => {
                    calls.sweep = Some(due);
                    Some(Earlier::Than)
                }
                _ => None,
            }
        };
        waiters.tasks.fetch_add(1, Ordering::Relaxed);
        let task = tasks::spawn(Waiting { connection: Arc::clone(self), id, correlation, stage });
        if let Some(call) = lock(&waiters.calls).by_id.get_mut(&id) {
            call.task = Some(task);
        }
        match earlier {
            None => {}
            Some(Earlier::First) => drop(tasks::spawn(Arc::clone(self).sweep())),
            Some(Earlier::Than) => waiters.earlier.notify_one(),
        }
        Ok(())
    }

    /// Ends calls at their deadlines, as long as some wait: one timer for all of them.
    async fn sweep(self: Arc<Self>) {
        loop {
            let Some(next) = lock(&self.waiting.calls).sweep else { return };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.waiting.earlier.notified() => continue,
            }
            let (late, is_last) = {
                let calls = &mut *lock(&self.waiting.calls);
                (calls.late(Instant::now()), calls.sweep.is_none())
            };
            late.iter().for_each(AbortHandle::abort);
            if is_last {
                // The next call that waits begins another one.
                return;
            }
            sleep(SWEEP).await;
        }
    }

    /// Answers a call from its own task, at once if that is possible: what is left to do otherwise.
    fn send(self: &Arc<Self>, id: u64, answer: Answer<L>) -> Option<BoxFuture<'static, ()>> {
        let is_small = answer.end.size() < OWN_STREAM;
        let put = || self.outbox.try_push(Flush::Soon, |out| put_reply(out, id, &answer.end));
        if is_small && put() != Pushed::Full {
            return None;
        }
        Some(Box::pin(Arc::clone(self).send_slowly(id, answer)))
    }

    async fn send_slowly(self: Arc<Self>, id: u64, Answer { end, unread: _unread }: Answer<L>) {
        if end.size() < OWN_STREAM {
            self.outbox.room().await;
            self.outbox.push(Flush::Soon, |out| put_reply(out, id, &end));
            return;
        }
        self.send_large(id, end).await;
    }

    async fn send_large(&self, id: u64, end: End) {
        match self.link.open_reply().await {
            Ok(Some(stream)) => {
                let mut stream = Outgoing::new(stream);
                if stream.frames([Frame::Reply { id, end }], 0).await.is_ok() {
                    stream.finish();
                }
            }
            // One at a time, since each is counted as unread until it is there.
            Ok(None) => loop {
                self.outbox.room().await;
                if self.outbox.try_push(Flush::Soon, |out| put_reply(out, id, &end)) != Pushed::Full
                {
                    return;
                }
            },
            // Nobody waits any more.
            Err(Lost) => {}
        }
    }
}

enum Earlier {
    /// There is no sweep yet.
    First,
    /// It would come later.
    Than,
}

/// A call that waits in a task of its own. There may be many of them, so that this is small.
struct Waiting<L: Link> {
    connection: Arc<Served<L>>,
    id: u64,
    correlation: Id,
    stage: Stage,
}

enum Stage {
    Runs(BoxFuture<'static, Outcome>),
    Sends(BoxFuture<'static, ()>),
    Done,
}

impl<L: Link> Future for Waiting<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Stage::Runs(run) = &mut this.stage {
            let outcome = ready!(run.as_mut().poll(cx));
            let answer = Answer::new(&this.connection, end(Some(this.correlation), outcome));
            this.stage = match this.connection.send(this.id, answer) {
                None => Stage::Done,
                Some(rest) => {
                    this.connection.waiting.ended(this.id);
                    Stage::Sends(rest)
                }
            };
        }
        if let Stage::Sends(send) = &mut this.stage {
            ready!(send.as_mut().poll(cx));
            this.stage = Stage::Done;
        }
        Poll::Ready(())
    }
}

impl<L: Link> Drop for Waiting<L> {
    fn drop(&mut self) {
        let due = self.connection.waiting.remove(self.id);
        if matches!((due, &self.stage), (Some(Due::Late), Stage::Runs(_) | Stage::Sends(_))) {
            // As many as calls that waited, so that room need not be asked for.
            let end = end(None, Err(too_late(self.correlation)));
            self.connection.outbox.push(Flush::Soon, |out| put_reply(out, self.id, &end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(due: Due) -> Call {
        let task = tasks::spawn(std::future::pending());
        Call { task: Some(task), due }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_takes_what_is_late_once_and_comes_when_the_next_is() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut calls = Calls::default();
        calls.by_id.insert(1, waits(Due::At(at(2))));
        calls.by_id.insert(2, waits(Due::At(at(9))));
        calls.by_id.insert(3, waits(Due::Ended));
        assert!(calls.late(at(1)).is_empty());
        assert_eq!(calls.sweep, Some(at(2)));
        assert_eq!(calls.late(at(2)).len(), 1);
        assert!(matches!(calls.by_id[&1].due, Due::Late), "stays, to be answered by its task");
        assert_eq!(calls.sweep, Some(at(9)));
        assert_eq!(calls.late(at(9)).len(), 1);
        assert_eq!(calls.sweep, None);
        assert!(calls.late(at(99)).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_task_is_not_there_yet_is_looked_at_again() {
        let now = Instant::now();
        let mut calls = Calls::default();
        calls.by_id.insert(1, Call { task: None, due: Due::At(now) });
        assert!(calls.late(now).is_empty());
        assert_eq!(calls.sweep, Some(now));
    }
}
