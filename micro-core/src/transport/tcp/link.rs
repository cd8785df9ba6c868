//! TCP as `micro/1` sees it: the connection of the lane, and those that carry streams, one after the
//! other, kept for a while when they are free.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::HANDSHAKE;
use super::conn::{Came, Conn, Failed, Shaken, handshake};
use super::marks::{Join, Role};
use super::session::Session;
use super::stream::{Fresh, TcpReceiving, TcpSending, halves};
use crate::identity::tls;
use crate::sync::lock;
use crate::tasks;
use crate::transport::MAX_MESSAGE;
use crate::transport::lane::{Close, Ended, Link, Lost};
use crate::wire::MAX_HEAD;

/// Streams at one time, as over QUIC.
const STREAMS: usize = 128;
/// Free connections that a client keeps.
const IDLE: usize = 8;
/// How long a client keeps one, and a server, which must not be the first to close: the client may be
/// using it at that moment.
const KEPT: Duration = Duration::from_secs(10);
const KEPT_BY_SERVER: Duration = Duration::from_secs(60);

/// The connection to one peer. Clones are the same.
#[derive(Clone)]
pub(super) struct TcpLink(pub(super) Arc<Inner>);

/// How far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The peer has not said anything on the lane yet.
    Silent,
    Heard,
    Ended,
}

pub(super) struct Inner {
    service: String,
    lane: Arc<Conn>,
    /// The halves of the lane, until they are taken.
    halves: Mutex<Option<(TcpSending, TcpReceiving)>>,
    /// All connections with streams, to be cut with the lane.
    streams: Mutex<Vec<Weak<Conn>>>,
    state: watch::Sender<State>,
    why: OnceLock<(String, bool)>,
    side: Side,
}

enum Side {
    Client(Dialer),
    Server(Arrivals),
}

/// How a client gets more connections.
pub(super) struct Dialer {
    pub(super) remote: SocketAddr,
    pub(super) config: Arc<ClientConfig>,
    pub(super) lane: [u8; 16],
    permits: Arc<Semaphore>,
    free: Mutex<Vec<Free>>,
}

impl Dialer {
    pub(super) fn new(remote: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let lane = crate::id::Id::random().as_u128().to_le_bytes();
        let permits = Arc::new(Semaphore::new(STREAMS));
        Self { remote, config, lane, permits, free: Mutex::default() }
    }
}

/// A connection that waits for its next stream.
struct Free {
    conn: Arc<Conn>,
    /// Takes it out when it was kept long enough, or the server has closed it.
    _watch: tasks::Owned,
}

/// Streams that a client has begun.
struct Arrivals {
    sender: mpsc::Sender<Fresh>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Fresh>>,
}

impl TcpLink {
    /// A client's.
    pub(super) fn client(service: &str, shaken: Shaken, dialer: Dialer) -> Self {
        let join = Join { role: Role::Lane, lane: dialer.lane };
        Self::new(service, fresh(shaken), Side::Client(dialer), Some(join))
    }

    /// A server's.
    pub(super) fn server(service: &str, fresh: Fresh) -> Self {
        let (sender, receiver) = mpsc::channel(STREAMS + IDLE);
        let receiver = tokio::sync::Mutex::new(receiver);
        Self::new(service, fresh, Side::Server(Arrivals { sender, receiver }), None)
    }

    fn new(service: &str, fresh: Fresh, side: Side, join: Option<Join>) -> Self {
        fresh.conn.watch();
        let is_client = join.is_some();
        Self(Arc::new_cyclic(|link| Inner {
            service: service.to_owned(),
            lane: Arc::clone(&fresh.conn),
            halves: Mutex::new(Some(halves(
                fresh,
                link.clone(),
                Role::Lane,
                join,
                None,
                is_client,
            ))),
            streams: Mutex::default(),
            state: watch::Sender::new(State::Silent),
            why: OnceLock::new(),
            side,
        }))
    }

    /// Takes a connection for streams that the client has made; not when it has too many.
    pub(super) fn take(&self, fresh: Fresh) -> Result<(), Fresh> {
        match &self.0.side {
            Side::Server(arrivals) if self.0.add(&fresh.conn, STREAMS + IDLE) => {
                let sent = arrivals.sender.try_send(fresh);
                sent.map_err(mpsc::error::TrySendError::into_inner)
            }
            _ => Err(fresh),
        }
    }

    /// A stream for a call: on a connection that is free, or on a new one.
    async fn stream(&self, dialer: &Dialer) -> Result<(TcpSending, TcpReceiving), Lost> {
        // The server knows the lane when it has spoken on it.
        let mut state = self.0.state.subscribe();
        if state.wait_for(|state| *state != State::Silent).await.is_err() || self.is_ended() {
            return Err(Lost);
        }
        let permit = Arc::clone(&dialer.permits).acquire_owned().await.map_err(|_| Lost)?;
        let (fresh, join) = match self.0.free(dialer) {
            Some(conn) => (conn, None),
            None => {
                let fresh = self.dial(dialer).await.ok_or(Lost)?;
                (fresh, Some(Join { role: Role::Streams, lane: dialer.lane }))
            }
        };
        let link = Arc::downgrade(&self.0);
        let halves = halves(fresh, link, Role::Streams, join, Some(permit), true);
        // The lane may have ended meanwhile, and with it all that was known then.
        if self.is_ended() { Err(Lost) } else { Ok(halves) }
    }

    async fn dial(&self, dialer: &Dialer) -> Option<Fresh> {
        let Dialer { remote, config, .. } = dialer;
        match dial(*remote, config, &self.0.service).await {
            Ok(shaken) => {
                let fresh = fresh(shaken);
                self.0.add(&fresh.conn, usize::MAX).then_some(fresh)
            }
            Err(error) => {
                tracing::debug!(%remote, %error, "no connection for a stream");
                None
            }
        }
    }

    fn is_ended(&self) -> bool {
        *self.0.state.borrow() == State::Ended
    }
}

fn fresh(shaken: Shaken) -> Fresh {
    let Shaken { conn, certificates: _, ahead, incoming } = shaken;
    Fresh { conn: Arc::new(conn), ahead, incoming }
}

/// Connects to `remote`, which must be `service`.
pub(super) async fn dial(
    remote: SocketAddr,
    config: &Arc<ClientConfig>,
    service: &str,
) -> Result<Shaken, Failed> {
    let name = tls::server_name(service)
        .try_into()
        .map_err(|_| rustls::Error::General(format!("`{service}` makes no host name")))?;
    let session = Session::client(Arc::clone(config), name)?;
    let shake = async { handshake(TcpStream::connect(remote).await?, session).await };
    match timeout(HANDSHAKE, shake).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::other("no answer within 3 s").into()),
    }
}

impl Inner {
    /// The lane has ended.
    pub(super) fn end(&self, failed: Option<&Failed>) {
        let why = match failed {
            // In TLS 1.3 a server hears last who calls.
            Some(Failed::Tls(error)) => {
                let text = tls::explain_tls(&self.service, error);
                let is_refusal = matches!(error, rustls::Error::AlertReceived(_));
                (text.unwrap_or_else(|| error.to_string()), is_refusal)
            }
            Some(Failed::Io(error)) => (error.to_string(), false),
            None => ("closed by the peer".to_owned(), false),
        };
        self.end_because(why);
    }

    fn end_because(&self, why: (String, bool)) {
        if self.why.set(why).is_err() {
            return;
        }
        self.lane.shut();
        self.state.send_replace(State::Ended);
        // Added later, they see the state.
        for stream in std::mem::take(&mut *lock(&self.streams)) {
            stream.upgrade().inspect(|conn| conn.cut_off());
        }
        if let Side::Client(dialer) = &self.side {
            lock(&dialer.free).clear();
        }
    }

    /// The peer has spoken on the lane.
    pub(super) fn heard(&self) {
        self.state.send_if_modified(|state| {
            let is_first = *state == State::Silent;
            if is_first {
                *state = State::Heard;
            }
            is_first
        });
    }

    pub(super) async fn closed(&self) {
        let mut state = self.state.subscribe();
        // The sender is here.
        let _ = state.wait_for(|state| *state == State::Ended).await;
    }

    /// Counts a connection in; `false` when there are too many, or the lane has ended.
    fn add(&self, conn: &Arc<Conn>, most: usize) -> bool {
        let mut streams = lock(&self.streams);
        streams.retain(|stream| stream.strong_count() > 0);
        let is_welcome = streams.len() < most && *self.state.borrow() != State::Ended;
        if is_welcome {
            streams.push(Arc::downgrade(conn));
        }
        is_welcome
    }

    /// A connection whose stream has ended waits for the next.
    pub(super) fn give_back(self: &Arc<Self>, fresh: Fresh) {
        if tokio::runtime::Handle::try_current().is_err() {
            return fresh.conn.cut_off();
        }
        match &self.side {
            Side::Client(dialer) => self.keep(dialer, fresh),
            Side::Server(arrivals) => {
                let (sender, closed) = (arrivals.sender.clone(), self.state.subscribe());
                tasks::spawn(next(fresh, sender, closed));
            }
        }
    }

    fn keep(self: &Arc<Self>, dialer: &Dialer, fresh: Fresh) {
        let Fresh { conn, ahead, incoming } = fresh;
        let mut free = lock(&dialer.free);
        let is_ended = *self.state.borrow() == State::Ended;
        // What a server says before it is asked belongs to nothing.
        if is_ended || free.len() >= IDLE || !ahead.is_empty() || !incoming.is_empty() {
            return conn.shut();
        }
        let (link, kept) = (Arc::downgrade(self), Arc::clone(&conn));
        let watch = tasks::Owned::spawn(async move {
            let _ = timeout(KEPT, kept.came()).await;
            let Some(link) = link.upgrade() else { return };
            let Side::Client(dialer) = &link.side else { return };
            let taken = {
                let mut free = lock(&dialer.free);
                let at = free.iter().position(|free| Arc::ptr_eq(&free.conn, &kept));
                at.map(|at| free.swap_remove(at))
            };
            taken.inspect(|free| free.conn.shut());
        });
        free.push(Free { conn, _watch: watch });
    }

    /// The connection that became free last.
    fn free(&self, dialer: &Dialer) -> Option<Fresh> {
        loop {
            let Free { conn, _watch } = lock(&dialer.free).pop()?;
            // The server may have closed it, and nobody has looked yet.
            if conn.look() == Came::Nothing {
                return Some(Fresh {
                    conn,
                    ahead: Default::default(),
                    incoming: Default::default(),
                });
            }
        }
    }
}

/// Waits for the next stream of a connection.
async fn next(fresh: Fresh, sender: mpsc::Sender<Fresh>, mut state: watch::Receiver<State>) {
    let is_here = !fresh.ahead.is_empty() || !fresh.incoming.is_empty();
    if !is_here {
        tokio::select! {
            // A client closes what it no longer keeps: that is no stream.
            came = timeout(KEPT_BY_SERVER, fresh.conn.came()) => if came != Ok(Came::Some) {
                return fresh.conn.shut();
            },
            _ = state.wait_for(|state| *state == State::Ended) => return,
        }
    }
    // Each connection is in the queue once at most, and they are counted.
    let _ = sender.try_send(fresh);
}

impl Link for TcpLink {
    type Sending = TcpSending;
    type Receiving = TcpReceiving;

    const MAX_LANE_FRAME: usize = MAX_MESSAGE + MAX_HEAD;

    async fn open(&self) -> Result<(TcpSending, TcpReceiving), Lost> {
        if let Some(lane) = lock(&self.0.halves).take() {
            return Ok(lane);
        }
        let Side::Client(dialer) = &self.0.side else { return Err(Lost) };
        tokio::select! {
            stream = self.stream(dialer) => stream,
            () = self.0.closed() => Err(Lost),
        }
    }

    async fn accept(&self) -> Result<(TcpSending, TcpReceiving), Lost> {
        if let Some(lane) = lock(&self.0.halves).take() {
            return Ok(lane);
        }
        let Side::Server(arrivals) = &self.0.side else { return Err(Lost) };
        let mut receiver = arrivals.receiver.lock().await;
        let fresh = tokio::select! {
            fresh = receiver.recv() => fresh.ok_or(Lost)?,
            () = self.0.closed() => return Err(Lost),
        };
        Ok(halves(fresh, Arc::downgrade(&self.0), Role::Streams, None, None, false))
    }

    async fn open_reply(&self) -> Result<Option<TcpSending>, Lost> {
        Ok(None)
    }

    async fn accept_reply(&self) -> Result<TcpReceiving, Lost> {
        self.0.closed().await;
        Err(Lost)
    }

    fn close(&self, why: Close, text: &str) {
        tracing::debug!(?why, text, "closed a connection");
        self.0.end_because((format!("closed: {text}"), false));
    }

    fn ended(&self) -> Option<Ended> {
        let (text, is_refusal) = self.0.why.get()?;
        Some(Ended { text: text.clone(), is_refusal: *is_refusal })
    }

    async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Links, to be closed together.
#[derive(Default)]
pub(super) struct Links(Mutex<Vec<Weak<Inner>>>);

impl Links {
    pub(super) fn add(&self, link: &TcpLink) {
        let mut links = lock(&self.0);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link.0));
    }

    pub(super) fn close_all(&self, why: Close, text: &str) {
        for link in std::mem::take(&mut *lock(&self.0)) {
            link.upgrade().inspect(|link| TcpLink(Arc::clone(link)).close(why, text));
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} links", lock(&self.0).len())
    }
}
