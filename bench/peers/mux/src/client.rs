//! The calling end of a lane.

use std::sync::Arc;
use std::task::{Poll, Waker};

use anyhow::{Result, bail};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use slab::Slab;

use crate::frame::{self, Frames, Kind};
use crate::lane::{In, Out, Sender};

/// Calls over one lane. Cheap to clone.
pub struct Lane<O> {
    sender: Arc<Sender<O>>,
    calls: Arc<Mutex<Calls>>,
}

impl<O> Clone for Lane<O> {
    fn clone(&self) -> Self {
        Self { sender: Arc::clone(&self.sender), calls: Arc::clone(&self.calls) }
    }
}

/// The calls that wait. An id is a slot with a generation, so that a late reply cannot meet the next call
/// of the slot.
#[derive(Default)]
struct Calls {
    slots: Slab<(u32, Slot)>,
    generation: u32,
    closed: bool,
}

enum Slot {
    Waiting(Option<Waker>),
    Done(Bytes),
}

impl<O: Out> Lane<O> {
    /// Calls over these two directions.
    pub fn start(out: O, input: impl In) -> Self {
        let calls = Arc::<Mutex<Calls>>::default();
        tokio::spawn(read(input, Arc::clone(&calls)));
        Self { sender: Sender::start(out), calls }
    }

    /// Sends a request whose body `encode` appends, and waits for the reply.
    pub async fn call(&self, kind: Kind, encode: impl FnOnce(&mut BytesMut)) -> Result<Bytes> {
        let (id, slot) = {
            let mut calls = self.calls.lock();
            calls.generation = calls.generation.wrapping_add(1);
            let generation = calls.generation;
            let slot = calls.slots.insert((generation, Slot::Waiting(None)));
            (u64::from(generation) << 32 | slot as u64, slot)
        };
        let mut cancel = Cancel { lane: self, id, slot, armed: true };
        self.sender.later(|to| frame::put(to, kind, id, encode));
        let body = std::future::poll_fn(|cx| {
            let mut calls = self.calls.lock();
            if let Slot::Waiting(waker) = &mut calls.slots[slot].1 {
                match waker {
                    Some(waker) if waker.will_wake(cx.waker()) => {}
                    waker => *waker = Some(cx.waker().clone()),
                }
                return if calls.closed { Poll::Ready(None) } else { Poll::Pending };
            }
            match calls.slots.remove(slot).1 {
                Slot::Done(body) => Poll::Ready(Some(body)),
                Slot::Waiting(_) => unreachable!("looked at above"),
            }
        })
        .await;
        let Some(body) = body else { bail!("the lane has closed") };
        cancel.armed = false;
        Ok(body)
    }
}

/// Frees the slot of a call that is dropped, and tells the server.
struct Cancel<'a, O: Out> {
    lane: &'a Lane<O>,
    id: u64,
    slot: usize,
    armed: bool,
}

impl<O: Out> Drop for Cancel<'_, O> {
    fn drop(&mut self) {
        if self.armed {
            self.lane.calls.lock().slots.try_remove(self.slot);
            self.lane.sender.later(|to| frame::put(to, Kind::Cancel, self.id, |_| {}));
        }
    }
}

async fn read(mut input: impl In, calls: Arc<Mutex<Calls>>) {
    let mut frames = Frames::default();
    let mut woken = Vec::with_capacity(64);
    while let Ok(true) = input.read(&mut frames).await {
        {
            let calls = &mut *calls.lock();
            while let Some((head, body)) = frames.next() {
                let slot = calls.slots.get_mut(head.id as u32 as usize);
                let Some((generation, slot)) = slot else { continue };
                if *generation == (head.id >> 32) as u32
                    && let Slot::Waiting(waker) = std::mem::replace(slot, Slot::Done(body))
                {
                    woken.extend(waker);
                }
            }
        }
        // Outside of the lock, which those who wake want.
        woken.drain(..).for_each(Waker::wake);
    }
    let mut calls = calls.lock();
    calls.closed = true;
    for (_, (_, slot)) in calls.slots.iter_mut() {
        if let Slot::Waiting(Some(waker)) = slot {
            waker.wake_by_ref();
        }
    }
}
