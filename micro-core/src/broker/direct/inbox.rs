//! What arrives from other processes, until a subscriber of this process has handled it. The publisher
//! keeps each message until it is answered, so that nothing here needs to last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::sync::watch;

use super::answers::Answers;
use super::line::Line;
use crate::broker::{Delivery, Subscribe};
use crate::registry::Listening;
use crate::sync::lock;

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
    /// The publishers that send, or did.
    streams: Vec<Weak<Answers>>,
    next_reader: u64,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(remembered: usize) -> Self {
        let (lines, streams) = (HashMap::new(), Vec::new());
        let state = State { lines, streams, next_reader: 0, closed: false };
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
        line.join(id);
        self.tell(&state);
        Reader { inbox: self.clone(), to: to.clone(), line, id }
    }

    /// Takes nothing more from other processes, and tells them.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.tell(&state);
        let streams = std::mem::take(&mut state.streams);
        drop(state);
        streams.iter().filter_map(Weak::upgrade).for_each(|answers| answers.close());
    }

    /// A publisher begins to send.
    pub(super) fn begin(&self, answers: &Arc<Answers>) {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            return answers.close();
        }
        state.streams.retain(|stream| stream.strong_count() > 0);
        state.streams.push(Arc::downgrade(answers));
    }

    /// Where messages for a subscription go: nowhere if nobody here listens so, or no more.
    pub(super) fn lines(&self, to: &Subscribe) -> Vec<Arc<Line>> {
        let state = lock(&self.state);
        if state.closed {
            return Vec::new();
        }
        state.lines.get(to).cloned().unwrap_or_default()
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
        let Some(left) = self.line.leave(self.id) else {
            return;
        };
        if let Some(lines) = inbox.lines.get_mut(&self.to) {
            lines.retain(|line| !Arc::ptr_eq(line, &self.line));
            if lines.is_empty() {
                inbox.lines.remove(&self.to);
            }
        }
        self.inbox.tell(&inbox);
        drop(inbox);
        left.release();
    }
}
