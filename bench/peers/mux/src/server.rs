//! The answering end of a lane.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::frame::{self, Frames, Kind};
use crate::lane::{In, Out, Sender};
use crate::message::Msg;

/// Replies are handed over when a batch is this large, even if more requests have arrived.
const BATCH: usize = 256 << 10;

/// What answers.
async fn echo(body: Bytes) -> Result<Msg> {
    Ok(Msg::decode(&body)?)
}

/// Serves a lane until it ends. A handler is polled at once and spawned only if it waits; the replies of
/// one read go out together.
pub async fn serve<O: Out>(out: O, mut input: impl In) -> Result<()> {
    let sender = Sender::start(out);
    let waiting = Arc::<Mutex<HashMap<u64, AbortHandle>>>::default();
    let mut frames = Frames::default();
    let mut batch = BytesMut::new();
    while input.read(&mut frames).await? {
        while let Some((head, body)) = frames.next() {
            match head.kind {
                Kind::Call => {
                    let reply = inline(echo(body))?;
                    frame::put(&mut batch, Kind::Reply, head.id, |to| reply.encode(to));
                }
                Kind::Hold => {
                    let task = tokio::spawn(std::future::pending::<()>());
                    waiting.lock().insert(head.id, task.abort_handle());
                }
                Kind::Cancel => {
                    if let Some(task) = waiting.lock().remove(&head.id) {
                        task.abort();
                    }
                }
                Kind::Reply => {}
            }
            if batch.len() >= BATCH {
                flush(&sender, &mut batch);
            }
        }
        flush(&sender, &mut batch);
    }
    Ok(())
}

fn flush<O: Out>(sender: &Sender<O>, batch: &mut BytesMut) {
    if !batch.is_empty() {
        sender.now(|to| match to.is_empty() {
            true => *to = batch.split(),
            false => to.extend_from_slice(&batch.split()),
        });
    }
}

/// Polls a handler that is known not to wait.
fn inline(handler: impl Future<Output = Result<Msg>>) -> Result<Msg> {
    match pin!(handler).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(reply) => reply,
        Poll::Pending => unreachable!("it has no await"),
    }
}
