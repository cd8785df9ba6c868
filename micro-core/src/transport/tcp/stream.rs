//! The two halves of what a connection carries: the lane, or one stream of many.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::buffer::Buffer;
use super::conn::{Conn, Failed};
use super::link::Inner;
use super::marks::{Ended, Half, Join, NOTHING, Role};
use crate::sync::lock;
use crate::tasks;
use crate::transport::lane::{Close, Receiving, Sending, Unread, Unwritten};
use crate::wire::Splitter;

/// What a server has answered without reading all of it is read to its end within this, or cut.
const REST: Duration = Duration::from_secs(5);

/// What has become of a stream.
mod state {
    pub(super) const SENT: u8 = 1;
    pub(super) const RECEIVED: u8 = 2;
    pub(super) const BROKEN: u8 = 4;
}

/// A connection and what was read of it already.
pub(super) struct Fresh {
    pub(super) conn: Arc<Conn>,
    pub(super) ahead: BytesMut,
    pub(super) incoming: Buffer,
}

/// What both halves share. When both are gone the connection is free for the next stream, or cut.
struct Stream {
    conn: Arc<Conn>,
    link: Weak<Inner>,
    role: Role,
    is_client: bool,
    state: AtomicU8,
    /// All was sent.
    sent: Notify,
    /// What came behind the end.
    next: Mutex<Option<(BytesMut, Buffer)>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Stream {
    fn set(&self, state: u8) {
        self.state.fetch_or(state, Ordering::AcqRel);
    }

    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Acquire) & state == state
    }

    /// Cuts a stream; the lane ends with its connection.
    fn cut_off(&self) {
        self.set(state::BROKEN);
        self.conn.cut_off();
    }

    fn lost(&self, failed: Option<&Failed>) {
        self.set(state::BROKEN);
        if let (Role::Lane, Some(link)) = (self.role, self.link.upgrade()) {
            link.end(failed);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.role == Role::Lane {
            return;
        }
        let whole = self.is(state::SENT | state::RECEIVED) && !self.is(state::BROKEN);
        match self.link.upgrade() {
            Some(link) if whole => {
                let (ahead, incoming) = lock(&self.next).take().unwrap_or_default();
                link.give_back(Fresh { conn: Arc::clone(&self.conn), ahead, incoming });
            }
            _ => self.conn.cut_off(),
        }
    }
}

/// The halves of what `fresh` carries; a client's begin with a [`Join`] where that was not sent yet.
pub(super) fn halves(
    fresh: Fresh,
    link: Weak<Inner>,
    role: Role,
    join: Option<Join>,
    permit: Option<OwnedSemaphorePermit>,
    is_client: bool,
) -> (TcpSending, TcpReceiving) {
    let Fresh { conn, ahead, incoming } = fresh;
    let stream = Arc::new(Stream {
        conn,
        link,
        role,
        is_client,
        state: AtomicU8::new(0),
        sent: Notify::new(),
        next: Mutex::default(),
        _permit: permit,
    });
    let half = || (role == Role::Streams).then(Half::default);
    let send =
        TcpSending { stream: Arc::clone(&stream), out: Buffer::default(), half: half(), join };
    (send, TcpReceiving { stream, ahead, incoming, half: half(), heard: false })
}

/// The half that is written.
pub(super) struct TcpSending {
    stream: Arc<Stream>,
    out: Buffer,
    /// Follows the frames of a stream, to know whether they say by themselves where it ends.
    half: Option<Half>,
    join: Option<Join>,
}

impl TcpSending {
    fn poll_all(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<(), Failed>> {
        let Self { stream, out, half, join } = self;
        if let Some(join) = join.take() {
            // The first that is sealed, and far smaller than what fits.
            stream.conn.seal(&join.bytes(), out)?;
        }
        for chunk in chunks {
            while !chunk.is_empty() {
                match stream.conn.seal(chunk, out)? {
                    0 => ready!(stream.conn.poll_flush(cx, out))?,
                    sealed => {
                        let sealed = chunk.split_to(sealed);
                        if let Some(half) = half {
                            half.pass(&sealed, |_| {});
                        }
                    }
                }
            }
        }
        Poll::Ready(Ok(ready!(stream.conn.poll_flush(cx, out))?))
    }

    /// Says that nothing more comes.
    fn put_end(&mut self) {
        if self.stream.conn.seal(&NOTHING, &mut self.out).is_err() {
            return self.stream.cut_off();
        }
        let mut context = Context::from_waker(Waker::noop());
        match self.stream.conn.poll_flush(&mut context, &mut self.out) {
            Poll::Ready(Ok(())) => self.is_sent(),
            Poll::Ready(Err(_)) => self.stream.cut_off(),
            Poll::Pending => {
                let (stream, mut out) = (Arc::clone(&self.stream), std::mem::take(&mut self.out));
                tasks::spawn(async move {
                    let flush = poll_fn(|cx| stream.conn.poll_flush(cx, &mut out));
                    match tokio::time::timeout(REST, flush).await {
                        Ok(Ok(())) => sent(&stream),
                        _ => stream.cut_off(),
                    }
                });
            }
        }
    }

    fn is_sent(&self) {
        sent(&self.stream);
    }
}

fn sent(stream: &Stream) {
    stream.set(state::SENT);
    stream.sent.notify_one();
}

impl Sending for TcpSending {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<(), Unwritten>> {
        Poll::Ready(match ready!(self.poll_all(cx, chunks)) {
            Ok(()) => Ok(()),
            Err(failed) => {
                self.stream.lost(Some(&failed));
                // What the peer has sent before may say why.
                Err(match self.stream.role {
                    Role::Lane => Unwritten::Lost,
                    Role::Streams => Unwritten::Stopped,
                })
            }
        })
    }

    fn finish(&mut self) {
        match &self.half {
            None => self.stream.conn.finish(),
            Some(half) if half.ended().is_some() => self.is_sent(),
            Some(_) => self.put_end(),
        }
    }

    fn reset(&mut self, why: Close) {
        match why {
            Close::Refused => self.put_end(),
            _ => self.stream.cut_off(),
        }
    }

    fn hurry(&mut self) {
        // Streams have connections of their own.
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let (conn, link) = (Arc::clone(&self.stream.conn), self.stream.link.clone());
        async move {
            let Some(link) = link.upgrade() else { return };
            tokio::select! {
                () = conn.cut() => {}
                () = link.closed() => {}
            }
        }
    }
}

/// The half that is read.
pub(super) struct TcpReceiving {
    stream: Arc<Stream>,
    ahead: BytesMut,
    incoming: Buffer,
    half: Option<Half>,
    heard: bool,
}

impl TcpReceiving {
    /// What begins a connection that was made to us, and the rest of it; `None` if it is not valid.
    pub(super) async fn join(fresh: &mut Fresh) -> Option<Join> {
        let Fresh { conn, ahead, incoming } = fresh;
        while ahead.len() < Join::SIZE {
            let mut more = |data: &[u8]| ahead.extend_from_slice(data);
            if !matches!(poll_fn(|cx| conn.poll_open(cx, incoming, &mut more)).await, Ok(true)) {
                return None;
            }
        }
        let join = Join::read(*ahead.first_chunk()?);
        ahead.advance(Join::SIZE);
        join
    }

    /// Hands on what has come, at least something; `false` at the end.
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        on: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<bool, Unread>> {
        let Self { stream, ahead, incoming, half, heard } = self;
        loop {
            if let Some(ended) = half.as_ref().and_then(Half::ended) {
                stream.set(state::RECEIVED);
                let is_refused = stream.is_client && ended == Ended::Nothing;
                return Poll::Ready(if is_refused { Err(Unread::Refused) } else { Ok(false) });
            }
            let (mut some, mut next) = (false, BytesMut::new());
            let mut take = |data: &[u8]| match half {
                None => {
                    some = true;
                    on(data);
                }
                Some(half) => {
                    let rest = half.pass(data, |bytes| {
                        if !bytes.is_empty() {
                            some = true;
                            on(bytes);
                        }
                    });
                    next.extend_from_slice(rest);
                }
            };
            let read = match ahead.is_empty() {
                false => {
                    take(&std::mem::take(ahead));
                    Ok(true)
                }
                true => ready!(stream.conn.poll_open(cx, incoming, &mut take)),
            };
            *ahead = next;
            if let Some(half) = half
                && half.ended().is_some()
            {
                stream.set(state::RECEIVED);
            }
            match read {
                Ok(true) if some => {
                    if stream.role == Role::Lane && !std::mem::replace(heard, true) {
                        stream.link.upgrade().inspect(|link| link.heard());
                    }
                    return Poll::Ready(Ok(true));
                }
                Ok(true) => {}
                Ok(false) => {
                    stream.lost(None);
                    let is_lane = stream.role == Role::Lane;
                    return Poll::Ready(if is_lane { Ok(false) } else { Err(Unread::Cut) });
                }
                Err(failed) => {
                    stream.lost(Some(&failed));
                    return Poll::Ready(Err(Unread::Cut));
                }
            }
        }
    }

    /// Reads and forgets the rest of what a client sends: it may not know yet that nobody wants it.
    async fn forget(mut self) {
        let stream = Arc::clone(&self.stream);
        let rest =
            async { while let Ok(true) = poll_fn(|cx| self.poll_next(cx, &mut |_| {})).await {} };
        let too_late = async {
            stream.sent.notified().await;
            tokio::time::sleep(REST).await;
        };
        tokio::select! {
            () = rest => {}
            () = too_late => stream.cut_off(),
        }
        if !stream.is(state::RECEIVED) {
            // And does not come here again.
            stream.set(state::BROKEN);
        }
    }
}

impl Receiving for TcpReceiving {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Splitter,
    ) -> Poll<Result<bool, Unread>> {
        self.poll_next(cx, &mut |data| into.push_copy(data))
    }

    fn stop(&mut self, why: Close) {
        let is_whole = self.half.is_none() || self.stream.is(state::RECEIVED);
        if !is_whole && why != Close::Refused {
            self.stream.cut_off();
        }
    }
}

impl Drop for TcpReceiving {
    fn drop(&mut self) {
        let stream = Arc::clone(&self.stream);
        if stream.role == Role::Lane || stream.is(state::BROKEN) {
            return;
        }
        let (ahead, incoming) =
            (std::mem::take(&mut self.ahead), std::mem::take(&mut self.incoming));
        if stream.is(state::RECEIVED) {
            *lock(&stream.next) = Some((ahead, incoming));
        } else if stream.is_client || tokio::runtime::Handle::try_current().is_err() {
            // A call that nobody waits for.
            stream.cut_off();
        } else {
            let (half, heard) = (self.half.take(), self.heard);
            tasks::spawn(Self { stream, ahead, incoming, half, heard }.forget());
        }
    }
}
