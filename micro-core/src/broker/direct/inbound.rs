//! One stream of a publisher, on the subscriber's side: what it sends goes to the lines, and what became
//! of that goes back.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep_until};

use super::MAX_PER_INSTANCE;
use super::answers::Answers;
use super::frame::{Down, Records};
use super::inbox::{ACCEPT_WAIT, Inbox};
use super::line::{Joint, Line, Origin};
use crate::broker::{Message, Subscribe, Verdict};
use crate::status::{Result, Status};
use crate::stream::{ItemSink, Items};
use crate::topic::Topic;

/// Messages that an item is expected to have.
const MANY: usize = 256;

/// Runs until the publisher has ended its half and was answered everything. Dropping it does not stop
/// the handlers of what has come.
pub(super) async fn serve(inbox: Arc<Inbox>, items: Items, sink: ItemSink) -> Result<()> {
    let answers = Arc::new(Answers::default());
    inbox.begin(&answers);
    let _forget = Forget(answers.clone());
    let stream = Inbound { inbox, answers: answers.clone(), declared: Vec::new(), expires: None };
    tokio::select! {
        biased;
        failed = stream.read(items) => failed,
        written = write(&answers, sink) => written,
    }
}

/// Sends answers as they come; ends when nothing more will.
async fn write(answers: &Answers, sink: ItemSink) -> Result<()> {
    while let Some(items) = poll_fn(|cx| answers.poll_items(cx)).await {
        for item in items {
            sink.send(item).await?;
        }
    }
    Ok(())
}

/// A stream that ends, however it does, is told nothing more.
struct Forget(Arc<Answers>);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.forget();
    }
}

struct Inbound {
    inbox: Arc<Inbox>,
    answers: Arc<Answers>,
    declared: Vec<Declared>,
    /// When something that nobody takes goes back, at the earliest.
    expires: Option<Instant>,
}

struct Declared {
    to: Subscribe,
    /// Messages so far.
    count: u64,
    /// The topic of the last one.
    topic: Option<Topic>,
}

impl Inbound {
    /// Ends only by an error: after the last item there are waits to watch.
    async fn read(mut self, mut items: Items) -> Result<()> {
        let mut open = true;
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let armed = self.expires.is_some();
            tokio::select! {
                item = items.next(), if open => match item {
                    Some(item) => self.item(Down::read(item?)?)?,
                    None => {
                        open = false;
                        self.answers.end();
                    }
                },
                () = &mut timer, if armed => self.expires = self.expire(),
                else => std::future::pending().await,
            }
            if let Some(expires) = self.expires
                && timer.deadline() != expires
            {
                timer.as_mut().reset(expires);
            }
        }
    }

    fn item(&mut self, item: Down) -> Result<()> {
        match item {
            Down::Declare { number, to } => {
                let next = self.declared.len();
                if number as usize != next || next >= MAX_PER_INSTANCE {
                    return Err(Status::invalid_argument("not the next number of a subscription"));
                }
                self.declared.push(Declared { to, count: 0, topic: None });
                Ok(())
            }
            Down::Events { number, attempt, records } => self.events(number, attempt, records),
            Down::Unknown => Ok(()),
        }
    }

    fn events(&mut self, number: u32, attempt: u32, records: Records) -> Result<()> {
        let Some(declared) = self.declared.get_mut(number as usize) else {
            return Err(Status::invalid_argument("a subscription that was not declared"));
        };
        // All of them before the first is answered.
        self.answers.owe(records.count()?);
        let lines = self.inbox.lines(&declared.to);
        let mut records = records;
        let mut messages = Vec::with_capacity(MANY);
        while let Some(record) = records.next()? {
            let at = declared.count;
            declared.count += 1;
            match record.read(&declared.to, &mut declared.topic) {
                Ok(message) if !lines.is_empty() => messages.push((at, Arc::new(message))),
                Ok(_) => self.answers.answer(number, at, Verdict::Released),
                Err(status) => {
                    let reason = status.message().to_owned();
                    self.answers.answer(number, at, Verdict::Nack(reason));
                }
            }
        }
        let now = Instant::now();
        offer(&lines, messages, attempt, now, |at| {
            let answers = self.answers.clone();
            Origin { answers, number, at, joint: None }
        });
        self.expires.get_or_insert(now + ACCEPT_WAIT);
        Ok(())
    }

    /// Gives back what waited too long; when to look again.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let lines = self.declared.iter().flat_map(|declared| self.inbox.lines(&declared.to));
        lines.filter_map(|line| line.expire(now)).min()
    }
}

/// Hands messages to every line; with several, each message is answered when all have handled it.
fn offer(
    lines: &[Arc<Line>],
    messages: Vec<(u64, Arc<Message>)>,
    attempt: u32,
    now: Instant,
    origin: impl Fn(u64) -> Origin,
) {
    if let [line] = lines {
        return line.offer(
            messages.into_iter().map(|(at, message)| (message, origin(at))),
            attempt,
            now,
        );
    }
    let all: Vec<_> = messages
        .into_iter()
        .map(|(at, message)| {
            let joint = Joint { left: lines.len(), failure: None };
            let joint = Some(Arc::new(Mutex::new(joint)));
            (message, Origin { joint, ..origin(at) })
        })
        .collect();
    for line in lines {
        line.offer(all.iter().cloned(), attempt, now);
    }
}
