//! Transport: how calls get to another process. A unary call is one operation, so that a backend may
//! put many into one packet; streams are the other.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::call::{BoxFuture, Outcome, Target};
use crate::codec::Encoding;
use crate::context::Peer;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::status::{Result, Status};
use crate::stream::{ItemSink, Items, Outbound};

mod calling;
mod fallback;
mod lane;
pub mod memory;
mod network;
pub mod quic;
pub mod tcp;

pub use calling::{Calling, Slots};
pub use fallback::Fallback;

pub use crate::codec::MAX_MESSAGE;
pub(crate) use crate::codec::too_large;

/// A way to reach other processes and to be reached.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// The scheme of its addresses, e.g. `quic`.
    fn scheme(&self) -> &'static str;

    /// Begins to take calls on `address`; port 0 lets the system choose.
    fn listen<'a>(
        &'a self,
        address: &'a Address,
        dispatch: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>>;

    /// Connects to an instance of `service`, and to nothing else: a peer that cannot prove to be it is
    /// an error.
    fn connect<'a>(
        &'a self,
        address: &'a Address,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>>;

    /// Closes the connections that were made, with whatever is under way on them, and tells the peers, so
    /// that they need not wait for a silence. Returns soon, whether they heard it or not.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What takes calls at an address.
pub trait Listener: fmt::Debug + Send + Sync + 'static {
    /// Where it is reached.
    fn address(&self) -> Address;

    /// All addresses, for one that is reached by several transports; the preferred one first.
    fn addresses(&self) -> Vec<Address> {
        vec![self.address()]
    }

    /// Tells every peer to send no more, lets what runs end, and returns when all peers have closed or
    /// `deadline` has passed; then everything is closed.
    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()>;
}

/// A connection to one instance, shared by all calls to it.
pub trait Connection: fmt::Debug + Send + Sync + 'static {
    /// Who is at the other end.
    fn peer(&self) -> &Arc<Peer>;

    /// One request, one reply. The call is on its way when this returns, unless there is no room for it
    /// yet; it ends with `DeadlineExceeded` at its deadline. Dropping it cancels it on the other side.
    fn call(&self, request: &Request) -> Calling {
        self.call_for(request, None)
    }

    /// As [`Connection::call`]. The task of `waker` is woken when there is something to poll for, if the
    /// call [is waiting](Calling::is_waiting): it need not be polled before.
    fn call_for(&self, request: &Request, waker: Option<&Waker>) -> Calling;

    /// A streaming call. Returns when it is under way; what the server sends, and how it ended, are the
    /// reply's items. A client stream answers with exactly one item. Dropping the items cancels it.
    fn open(&self, request: Request, outbound: Option<Outbound>) -> BoxFuture<'_, Result<Items>>;

    /// Whether it takes new calls: not when it is lost or the peer drains.
    fn is_open(&self) -> bool;

    /// Takes no more calls and closes when the last one has ended.
    fn close(&self);
}

/// A call as a transport carries it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is called.
    pub target: Target,
    /// How bodies are encoded.
    pub encoding: Encoding,
    /// The time at which it is handed to the transport: read once, for all that need it.
    pub now: Instant,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The id of the whole chain of calls.
    pub correlation: Id,
    /// Whether the caller is already repeating it.
    pub repeated: bool,
    /// What travels beside it.
    pub metadata: Metadata,
    /// The request.
    pub body: Bytes,
}

impl Request {
    /// How long the caller still waits.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How long the caller waits from when the transport was handed the call. Asks no clock: right for a
    /// transport that sends it at once.
    pub fn time_left_at_first(&self) -> Duration {
        self.deadline.saturating_duration_since(self.now)
    }

    /// The status of a call whose deadline has passed before there was an outcome.
    pub(crate) fn late(&self) -> Status {
        late(&self.target).with_correlation(self.correlation)
    }
}

pub(crate) fn late(target: &Target) -> Status {
    Status::deadline_exceeded(format!("no answer of {target} before the deadline; it may have run"))
}

/// What a transport does with the calls that arrive: the server.
pub trait Dispatch: Send + Sync + 'static {
    /// Finds the handler, once per connection and name.
    ///
    /// # Errors
    /// `Unimplemented`, with the nearest name.
    fn resolve(&self, service: &str, method: &str) -> Result<Route>;

    /// Runs a call until it has to wait for the first time, which most never do. Never panics; a panic of
    /// the handler is its status.
    ///
    /// `now` is when the call begins, and becomes when this returns. A call that waits is polled again by
    /// whoever goes on with it, so that `cx` may be of nobody.
    fn begin(
        &self,
        route: &Route,
        request: Arrived,
        now: &mut Instant,
        cx: &mut TaskContext<'_>,
    ) -> Begun;

    /// Runs a call to its end, from the first poll of the future on. Never panics.
    fn call(&self, route: &Route, request: Arrived) -> BoxFuture<'static, Outcome>;
}

/// A call that was begun.
pub enum Begun {
    /// It has ended.
    Ended(Outcome),
    /// It waits; this is the rest of it.
    Waits(Rest),
}

/// The rest of a call that waits. It has no timer: whoever goes on with it drops it at its deadline, as
/// [`Rest::in_time`] does, and can so have one timer for many calls. Dropped earlier it is cancelled.
pub struct Rest {
    /// Goes on with the call. Never panics.
    pub run: BoxFuture<'static, Outcome>,
    /// When the call is late.
    pub deadline: Instant,
    /// The id of the whole chain of calls.
    pub correlation: Id,
}

impl Rest {
    /// Runs it to its end, or to its deadline.
    pub async fn in_time(self) -> Outcome {
        let Self { run, deadline, correlation } = self;
        timeout_at(deadline, run).await.unwrap_or_else(|_| Err(too_late(correlation)))
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(outcome) => f.debug_tuple("Ended").field(outcome).finish(),
            Self::Waits(_) => f.write_str("Waits"),
        }
    }
}

/// The status of a call whose time is up, from where it runs.
pub(crate) fn too_late(correlation: Id) -> Status {
    Status::deadline_exceeded("the deadline has passed").with_correlation(correlation)
}

/// A handler that was found: indices of the service and its method, and what the transport must know.
#[derive(Clone, Debug)]
pub struct Route {
    /// What was asked for.
    pub target: Target,
    /// Which service.
    pub service: u16,
    /// Which of its methods.
    pub method: u16,
}

/// The longest that a call may take, whatever its caller asks for.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(3600);

/// A call that has arrived.
#[derive(Debug)]
pub struct Arrived {
    /// Who sent it.
    pub peer: Arc<Peer>,
    /// How bodies are encoded.
    pub encoding: Encoding,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The id of the whole chain of calls.
    pub correlation: Id,
    /// Whether the caller is already repeating it.
    pub repeated: bool,
    /// What came beside it.
    pub metadata: Metadata,
    /// The request.
    pub body: Bytes,
    /// What the caller streams.
    pub inbound: Option<Items>,
    /// Where the handler streams to.
    pub outbound: Option<ItemSink>,
}

/// Where an instance is reached: `scheme://authority`, e.g. `quic://127.0.0.1:4433`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    text: String,
    scheme: usize,
}

impl Address {
    /// The address of this scheme and authority.
    pub fn new(scheme: &str, authority: impl fmt::Display) -> Self {
        Self { text: format!("{scheme}://{authority}"), scheme: scheme.len() }
    }

    /// What is before `://`.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme]
    }

    /// What is behind `://`.
    pub fn authority(&self) -> &str {
        &self.text[self.scheme + 3..]
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Address {
    type Err = Status;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some((scheme, authority)) if !scheme.is_empty() && text.len() <= 512 => {
                Ok(Self::new(scheme, authority))
            }
            _ => Err(Status::invalid_argument(format!(
                "{:?} is not an address like `quic://127.0.0.1:4433`",
                text.chars().take(64).collect::<String>()
            ))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
