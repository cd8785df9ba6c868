//! What arrives from other processes, until a subscriber of this process has handled it. The publisher
//! keeps each message until it is answered, so that nothing here needs to last.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::envelope::Envelope;
use crate::broker::memory::Recent;
use crate::broker::{Delivery, Message, Subscribe, Verdict};
use crate::id::Id;
use crate::registry::Listening;
use crate::status::{Executed, Result, Status};
use crate::sync::lock;

/// Messages from others that one subscription has here, handled or waiting: 16 publishers with a full
/// window. One more is refused, and its publisher tries again or elsewhere.
const MAX_ITEMS: usize = 1024;

/// How long a message waits for a subscriber before its publisher may give it to another process.
pub(super) const ACCEPT_WAIT: Duration = Duration::from_secs(5);

/// The subscriptions of this process, as other processes see them.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Ids to remember for each subscription.
    remembered: usize,
    listening: watch::Sender<Vec<Listening>>,
}

#[derive(Debug)]
struct State {
    /// One line for each group, and for each subscriber of a broadcast.
    lines: HashMap<Subscribe, Vec<Arc<Line>>>,
    next_reader: u64,
    closed: bool,
}

/// One queue of messages that have arrived.
struct Line(Mutex<LineState>);

struct LineState {
    recent: Recent,
    items: HashMap<Id, Item>,
    /// Not taken yet, oldest first.
    waiting: VecDeque<Id>,
    readers: HashMap<u64, Option<Waker>>,
}

struct Item {
    message: Arc<Message>,
    attempt: u32,
    taken: bool,
    /// What became of it, for all who wait for that.
    verdict: watch::Sender<Option<Verdict>>,
}

enum Offered {
    Handled,
    Waiting(watch::Receiver<Option<Verdict>>),
}

impl Inbox {
    pub(super) fn new(remembered: usize) -> Self {
        let state = State { lines: HashMap::new(), next_reader: 0, closed: false };
        Self { state: Mutex::new(state), remembered, listening: watch::Sender::default() }
    }

    /// What this process listens to, now and whenever it changes.
    pub(super) fn listening(&self) -> watch::Receiver<Vec<Listening>> {
        self.listening.subscribe()
    }

    /// Opens a subscription.
    pub(super) fn open(self: &Arc<Self>, to: &Subscribe) -> Reader {
        let mut state = lock(&self.state);
        state.next_reader += 1;
        let id = state.next_reader;
        let lines = state.lines.entry(to.clone()).or_default();
        if to.broadcast || lines.is_empty() {
            lines.push(Arc::new(Line::new(self.remembered)));
        }
        let line = lines[lines.len() - 1].clone();
        lock(&line.0).readers.insert(id, None);
        self.tell(&state);
        Reader { inbox: self.clone(), to: to.clone(), line, id }
    }

    /// Takes nothing more from other processes.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.tell(&state);
    }

    /// Hands a message to the subscribers and waits for what becomes of it.
    pub(super) async fn receive(&self, envelope: Envelope) -> Result<()> {
        let Envelope { to, message, attempt } = envelope;
        let lines = {
            let state = lock(&self.state);
            if state.closed {
                return Err(not_executed(Status::unavailable("this instance is going away")));
            }
            state.lines.get(&to).cloned().unwrap_or_default()
        };
        if lines.is_empty() {
            let (pattern, group) = (&to.pattern, &to.group);
            let status = Status::not_found(format!("no {group} listens to {pattern} here"));
            return Err(not_executed(status));
        }
        // Each of several broadcast subscribers must have handled it; one that has is not asked again.
        let offered: Vec<_> =
            lines.iter().map(|line| (line, line.offer(&message, attempt))).collect();
        let mut outcome = Ok(());
        for (line, offered) in offered {
            let answer = match offered {
                Ok(Offered::Handled) => Ok(()),
                Ok(Offered::Waiting(verdict)) => line.answer(message.id, verdict).await,
                Err(refused) => Err(refused),
            };
            outcome = outcome.and(answer);
        }
        outcome
    }

    /// In order, so that the same subscriptions are the same record.
    fn tell(&self, state: &State) {
        let mut listening: Vec<Listening> =
            state.lines.keys().filter(|_| !state.closed).cloned().map(Listening::from).collect();
        listening.sort_unstable();
        self.listening.send_if_modified(|told| {
            let changed = *told != listening;
            *told = listening;
            changed
        });
    }
}

impl Line {
    fn new(remembered: usize) -> Self {
        Self(Mutex::new(LineState {
            recent: Recent::new(remembered),
            items: HashMap::new(),
            waiting: VecDeque::new(),
            readers: HashMap::new(),
        }))
    }

    fn offer(&self, message: &Arc<Message>, attempt: u32) -> Result<Offered> {
        let mut state = lock(&self.0);
        if state.recent.contains(message.id) {
            return Ok(Offered::Handled);
        }
        if let Some(item) = state.items.get(&message.id) {
            return Ok(Offered::Waiting(item.verdict.subscribe()));
        }
        if state.readers.is_empty() {
            return Err(not_executed(Status::unavailable("the subscriber went away")));
        }
        if state.items.len() >= MAX_ITEMS {
            return Err(not_executed(Status::resource_exhausted("too many messages wait here")));
        }
        let (verdict, receiver) = watch::channel(None);
        let item = Item { message: message.clone(), attempt, taken: false, verdict };
        state.items.insert(message.id, item);
        state.waiting.push_back(message.id);
        // All of them: one that does not come must not keep the others from it. They are few.
        let wake: Vec<Waker> = state.readers.values_mut().filter_map(Option::take).collect();
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        Ok(Offered::Waiting(receiver))
    }

    /// Waits until the message was handled, but not long for somebody to begin.
    async fn answer(&self, id: Id, mut receiver: watch::Receiver<Option<Verdict>>) -> Result<()> {
        let first = timeout(ACCEPT_WAIT, receiver.wait_for(Option::is_some)).await;
        let told = match first.map(|told| told.map(|verdict| verdict.clone())) {
            Ok(told) => told,
            Err(_) => {
                if self.withdraw(id) {
                    let status = Status::resource_exhausted("all subscribers here are busy");
                    return Err(not_executed(status));
                }
                receiver.wait_for(Option::is_some).await.map(|verdict| verdict.clone())
            }
        };
        match told.ok().flatten() {
            Some(Verdict::Ack) => Ok(()),
            Some(Verdict::Nack(reason)) => Err(Status::aborted(reason)),
            Some(Verdict::Dropped) => Err(Status::aborted("it was dropped")),
            Some(Verdict::Released) => {
                Err(not_executed(Status::unavailable("the subscriber did not take it")))
            }
            Some(Verdict::Lost) | None => Err(Status::unavailable("the subscriber went away")),
        }
    }

    /// Takes a message back that nobody has taken; whether that was so.
    fn withdraw(&self, id: Id) -> bool {
        let mut state = lock(&self.0);
        if state.items.get(&id).is_none_or(|item| item.taken) {
            return false;
        }
        state.waiting.retain(|waiting| *waiting != id);
        let item = state.items.remove(&id);
        drop(state);
        if let Some(item) = item {
            item.verdict.send_replace(Some(Verdict::Released));
        }
        true
    }

    fn settle(&self, id: Id, verdict: Verdict) {
        let mut state = lock(&self.0);
        if verdict == Verdict::Ack {
            state.recent.insert(id);
        }
        let verdict = match verdict {
            Verdict::Dropped if state.readers.is_empty() => Verdict::Lost,
            verdict => verdict,
        };
        let item = state.items.remove(&id);
        drop(state);
        if let Some(item) = item {
            item.verdict.send_replace(Some(verdict));
        }
    }

    fn poll_take(self: &Arc<Self>, reader: u64, cx: &TaskContext<'_>) -> Poll<Delivery> {
        let mut state = lock(&self.0);
        let LineState { items, waiting, readers, .. } = &mut *state;
        if let Some(id) = waiting.pop_front()
            && let Some(item) = items.get_mut(&id)
        {
            item.taken = true;
            let (message, attempt, line) = (item.message.clone(), item.attempt, self.clone());
            let settle = move |verdict| line.settle(id, verdict);
            return Poll::Ready(Delivery::new(message, attempt, settle));
        }
        let waker = readers.entry(reader).or_default();
        let old = waker.replace(cx.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("items", &lock(&self.0).items.len()).finish_non_exhaustive()
    }
}

/// One subscriber's end of a line. What waits goes back to its publisher when the last one is dropped.
pub(super) struct Reader {
    inbox: Arc<Inbox>,
    to: Subscribe,
    line: Arc<Line>,
    id: u64,
}

impl Reader {
    pub(super) fn poll_take(&self, cx: &TaskContext<'_>) -> Poll<Delivery> {
        self.line.poll_take(self.id, cx)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inbox = lock(&self.inbox.state);
        let mut state = lock(&self.line.0);
        let waker = state.readers.remove(&self.id);
        let mut left = Vec::new();
        if state.readers.is_empty() {
            let waiting = std::mem::take(&mut state.waiting);
            left.extend(waiting.iter().filter_map(|id| state.items.remove(id)));
            if let Some(lines) = inbox.lines.get_mut(&self.to) {
                lines.retain(|line| !Arc::ptr_eq(line, &self.line));
                if lines.is_empty() {
                    inbox.lines.remove(&self.to);
                }
            }
            self.inbox.tell(&inbox);
        }
        drop(state);
        drop(inbox);
        drop(waker);
        for item in left {
            item.verdict.send_replace(Some(Verdict::Released));
        }
    }
}

fn not_executed(status: Status) -> Status {
    status.with_executed(Executed::No)
}
