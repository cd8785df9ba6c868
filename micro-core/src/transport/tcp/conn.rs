//! One TCP connection with TLS on it.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::CertificateDer;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::buffer::Buffer;
use super::session::{Session, Step};
use crate::sync::lock;

/// A peer that says nothing is asked this often, by the system.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A lane whose peer has acknowledged nothing for this long is lost. Longer than over QUIC, since Linux
/// counts a peer that lives but has no room as one that does not acknowledge.
const SILENCE: Duration = Duration::from_secs(10);

/// A connection whose handshake is done.
#[derive(Debug)]
pub(super) struct Conn {
    io: TcpStream,
    /// Both halves need it; never locked while the system is called.
    session: Mutex<Session>,
}

/// What comes out of a handshake.
#[derive(Debug)]
pub(super) struct Shaken {
    pub(super) conn: Conn,
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// What the peer sent behind it: open, and not opened yet.
    pub(super) ahead: BytesMut,
    pub(super) incoming: Buffer,
}

/// What there is to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Came {
    Nothing,
    Some,
    End,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// Shakes hands. Dropped in the middle it closes the connection.
pub(super) async fn handshake(io: TcpStream, mut session: Session) -> Result<Shaken, Failed> {
    io.set_nodelay(true)?;
    let (mut incoming, mut out, mut ahead) =
        (Buffer::default(), Buffer::default(), BytesMut::new());
    loop {
        let step =
            session.handshake(&mut incoming, &mut out, &mut |data| ahead.extend_from_slice(data));
        // The peer hears of an error too.
        let sent = poll_fn(|cx| poll_flush(&io, cx, &mut out)).await;
        if step? == Step::Done {
            sent?;
            break;
        }
        sent?;
        if incoming.is_full() {
            return Err(io::Error::new(ErrorKind::InvalidData, "the handshake is too long").into());
        }
        if poll_fn(|cx| poll_fill(&io, cx, &mut incoming)).await? == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed by the peer").into());
        }
    }
    let certificates = session.certificates().to_vec();
    let conn = Conn { io, session: Mutex::new(session) };
    Ok(Shaken { conn, certificates, ahead, incoming })
}

impl Conn {
    /// Seals the beginning of `data` behind what `out` has: how much of it found room.
    pub(super) fn seal(&self, data: &[u8], out: &mut Buffer) -> Result<usize, Failed> {
        Ok(lock(&self.session).seal(data, out)?)
    }

    /// Writes all of `out`.
    pub(super) fn poll_flush(
        &self,
        cx: &mut Context<'_>,
        out: &mut Buffer,
    ) -> Poll<io::Result<()>> {
        poll_flush(&self.io, cx, out)
    }

    /// Opens what has come, some of it at least, and reads until there is; `false` at the end.
    pub(super) fn poll_open(
        &self,
        cx: &mut Context<'_>,
        incoming: &mut Buffer,
        data: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<bool, Failed>> {
        loop {
            if !incoming.is_empty() {
                let mut some = false;
                let is_open = lock(&self.session).open(incoming, &mut |record| {
                    some = true;
                    data(record);
                })?;
                if some || !is_open {
                    return Poll::Ready(Ok(some));
                }
            }
            match poll_fill(&self.io, cx, incoming) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Returns when something has come, or the end.
    pub(super) async fn came(&self) -> Came {
        loop {
            if self.io.readable().await.is_err() {
                return Came::End;
            }
            match self.look() {
                Came::Nothing => {}
                came => return came,
            }
        }
    }

    /// What has come that nobody has read.
    pub(super) fn look(&self) -> Came {
        let mut byte = [MaybeUninit::uninit()];
        let peek = || SockRef::from(&self.io).peek(&mut byte);
        match self.io.try_io(Interest::READABLE, peek) {
            Ok(1..) => Came::Some,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Came::Nothing,
            _ => Came::End,
        }
    }

    /// Returns when the peer has cut it.
    pub(super) async fn cut(&self) {
        let _ = self.io.ready(Interest::ERROR).await;
    }

    /// Sends no more; what was sent still arrives.
    pub(super) fn finish(&self) {
        // Fails only when it is closed.
        let _ = SockRef::from(&self.io).shutdown(Shutdown::Write);
    }

    /// Ends it for both sides, after what was sent.
    pub(super) fn shut(&self) {
        let _ = SockRef::from(&self.io).shutdown(Shutdown::Both);
    }

    /// Cuts it: the peer sees an error at once, whatever else is under way.
    pub(super) fn cut_off(&self) {
        let _ = self.io.set_zero_linger();
        self.shut();
    }

    /// Lets the system watch over it: who carries a lane must not be silent.
    pub(super) fn watch(&self) {
        let socket = SockRef::from(&self.io);
        let alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE);
        // Best effort: without it a peer that is gone is noticed later.
        #[cfg(not(windows))]
        let alive = alive.with_retries(2);
        let _ = socket.set_tcp_keepalive(&alive);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = socket.set_tcp_user_timeout(Some(SILENCE));
    }
}

/// Reads into the buffer: how much, 0 at the end.
fn poll_fill(io: &TcpStream, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
    loop {
        let mut count = None;
        let space = buffer.space();
        let room = space.len();
        let tried = io.try_io(Interest::READABLE, || {
            let read = (&*SockRef::from(io)).read(space)?;
            count = Some(read);
            drained(read, room)
        });
        match (count, tried) {
            (Some(count), _) => {
                buffer.fill(count);
                buffer.release();
                return Poll::Ready(Ok(count));
            }
            (None, Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                // Nothing is kept while there is nothing.
                buffer.release();
                ready!(io.poll_read_ready(cx))?;
            }
            (None, Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            (None, Err(error)) => return Poll::Ready(Err(error)),
            (None, Ok(())) => {}
        }
    }
}

/// Writes until the buffer is empty.
fn poll_flush(io: &TcpStream, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<()>> {
    while !buffer.is_empty() {
        let mut count = None;
        let filled = buffer.filled();
        let size = filled.len();
        let tried = io.try_io(Interest::WRITABLE, || {
            let written = (&*SockRef::from(io)).write(filled)?;
            count = Some(written);
            drained(written, size)
        });
        match (count, tried) {
            (Some(0), _) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            (Some(count), _) => buffer.discard(count),
            (None, Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                ready!(io.poll_write_ready(cx))?;
            }
            (None, Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            (None, Err(error)) => return Poll::Ready(Err(error)),
            (None, Ok(())) => {}
        }
    }
    Poll::Ready(Ok(()))
}

/// Who gets less than asked for need not ask again to hear that there is no more: this is how tokio is
/// told so. Only systems that notify at each change, and say so, allow it.
fn drained(got: usize, wanted: usize) -> io::Result<()> {
    match got > 0 && got < wanted && cfg!(unix) {
        true => Err(ErrorKind::WouldBlock.into()),
        false => Ok(()),
    }
}
