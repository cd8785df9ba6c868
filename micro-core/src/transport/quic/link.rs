//! A QUIC connection as `micro/1` sees it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};

use super::tuning;
use crate::context::Peer;
use crate::identity::tls;
use crate::transport::lane::{Close, Ended, Link, Lost, Receiving, Sending, Unread, Unwritten};
use crate::wire::{MAX_LANE_FRAME, Splitter};

/// Chunks that one read takes; each is the data of a packet.
const CHUNKS: usize = 64;

thread_local! {
    /// Where a read puts them, empty in between: most streams of most connections are idle.
    static READ: RefCell<[Bytes; CHUNKS]> = const { RefCell::new([const { Bytes::new() }; CHUNKS]) };
}

/// A connection and who is at its other end.
#[derive(Clone, Debug)]
pub(super) struct QuicLink {
    pub(super) quinn: quinn::Connection,
    pub(super) peer: Arc<Peer>,
}

impl Link for QuicLink {
    type Sending = SendStream;
    type Receiving = Chunks;

    const MAX_LANE_FRAME: usize = MAX_LANE_FRAME;

    async fn open(&self) -> Result<(SendStream, Chunks), Lost> {
        let (send, receive) = self.quinn.open_bi().await.map_err(|_| Lost)?;
        Ok((send, Chunks(receive)))
    }

    async fn accept(&self) -> Result<(SendStream, Chunks), Lost> {
        let (send, receive) = self.quinn.accept_bi().await.map_err(|_| Lost)?;
        if send.id().index() == 1 {
            // The first beside the lane: there is a use for them.
            self.quinn.set_max_concurrent_bi_streams(VarInt::from_u32(tuning::BIDI));
        }
        Ok((send, Chunks(receive)))
    }

    async fn open_reply(&self) -> Result<Option<SendStream>, Lost> {
        self.quinn.open_uni().await.map(Some).map_err(|_| Lost)
    }

    async fn accept_reply(&self) -> Result<Chunks, Lost> {
        self.quinn.accept_uni().await.map(Chunks).map_err(|_| Lost)
    }

    fn close(&self, why: Close, text: &str) {
        // A second close would hide why the first was.
        if self.quinn.close_reason().is_none() {
            self.quinn.close(code(why), text.as_bytes());
        }
    }

    fn ended(&self) -> Option<Ended> {
        let reason = self.quinn.close_reason()?;
        let service = self.peer.service.as_deref().unwrap_or_default();
        let text = tls::explain(service, &reason).unwrap_or_else(|| reason.to_string());
        Some(Ended { text, is_refusal: is_refusal(&reason) })
    }

    async fn closed(&self) {
        self.quinn.closed().await;
    }
}

/// Whether the peer ended the handshake by a TLS alert (RFC 9001, section 4.8).
fn is_refusal(reason: &ConnectionError) -> bool {
    let ConnectionError::ConnectionClosed(closed) = reason else { return false };
    (0x100..0x200).contains(&u64::from(closed.error_code))
}

/// The code on the wire.
pub(super) fn code(why: Close) -> VarInt {
    VarInt::from_u32(why as u32)
}

impl Sending for SendStream {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<(), Unwritten>> {
        // It cuts what it takes off the chunks, and can be made again for each poll.
        pin!(self.write_all_chunks(chunks)).poll(cx).map_err(|error| match error {
            WriteError::Stopped(_) => Unwritten::Stopped,
            _ => Unwritten::Lost,
        })
    }

    fn finish(&mut self) {
        // Fails only when the peer wants no more.
        let _ = Self::finish(self);
    }

    fn reset(&mut self, why: Close) {
        // Fails only when it has ended.
        let _ = Self::reset(self, code(why));
    }

    fn hurry(&mut self) {
        // Fails only when it has ended.
        let _ = self.set_priority(1);
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let stopped = Self::stopped(self);
        async move { drop(stopped.await) }
    }
}

/// A stream that is read by many chunks at a time.
pub(super) struct Chunks(RecvStream);

impl Receiving for Chunks {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Splitter,
    ) -> Poll<Result<bool, Unread>> {
        READ.with_borrow_mut(|chunks| {
            let read = ready!(pin!(self.0.read_chunks(chunks)).poll(cx));
            Poll::Ready(match read {
                Ok(Some(count)) => {
                    chunks[..count].iter_mut().for_each(|chunk| into.push(std::mem::take(chunk)));
                    Ok(true)
                }
                Ok(None) => Ok(false),
                Err(ReadError::Reset(why)) if why == code(Close::Refused) => Err(Unread::Refused),
                Err(_) => Err(Unread::Cut),
            })
        })
    }

    fn stop(&mut self, why: Close) {
        // Fails only when the stream has ended.
        let _ = self.0.stop(code(why));
    }
}
