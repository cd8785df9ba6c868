//! A call as plain data: what is called, what came with it, and how it ends.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::codec::Encoding;
use crate::context::Context;
use crate::metadata::Metadata;
use crate::schema::Contract;
use crate::status::{Result, Status};
use crate::stream::{ItemSink, Items};

/// The only erased future of the crate.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a call ends.
pub type Outcome = Result<Reply, Status>;

/// A call on its way through interceptors to its handler, on either side.
#[derive(Debug)]
pub struct Incoming {
    /// What is called.
    pub target: Target,
    /// Where this call is: about to leave, just arrived, or an event.
    pub side: Side,
    /// What is known about it.
    pub context: Context,
    /// How its bodies are encoded.
    pub encoding: Encoding,
    /// The request; empty for none. One item of a client stream is not here but in `inbound`.
    pub body: Bytes,
    /// What the caller streams.
    pub(crate) inbound: Option<Items>,
    /// Where the handler streams to.
    pub(crate) outbound: Option<ItemSink>,
}

/// What a call goes to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The service, or the group of a subscription.
    pub service: Cow<'static, str>,
    /// The handler, or the topic of an event.
    pub method: Cow<'static, str>,
    /// Which sides stream.
    pub kind: Kind,
    /// Whether it may run twice.
    pub idempotent: bool,
    /// The types, where they are known, to compare with those of the other side.
    pub(crate) contract: Option<Contract>,
}

/// Where an interceptor sees a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// It is about to leave this process.
    Client,
    /// It has arrived.
    Server,
    /// It is an event for a subscriber.
    Subscriber,
}

/// What a call is answered with.
#[derive(Debug, Default)]
pub struct Reply {
    /// What travels beside the reply.
    pub metadata: Metadata,
    /// The reply; empty for none.
    pub body: Bytes,
    /// On the client's side: what the server streams.
    pub(crate) items: Option<Items>,
}

impl Incoming {
    /// A call that is about to leave; `context` says until when.
    pub fn outgoing(target: Target, context: Context, encoding: Encoding, body: Bytes) -> Self {
        let (inbound, outbound) = (None, None);
        Self { target, side: Side::Client, context, encoding, body, inbound, outbound }
    }

    /// The same call once more, for an interceptor that runs the rest of the chain again; `None` when
    /// the call streams, since items can be sent only once.
    pub fn try_clone(&self) -> Option<Self> {
        let Self { target, side, context, encoding, body, inbound, outbound } = self;
        if target.kind != Kind::Unary || inbound.is_some() || outbound.is_some() {
            return None;
        }
        let (target, context, body) = (target.clone(), context.clone(), body.clone());
        let (side, encoding, inbound, outbound) = (*side, *encoding, None, None);
        Some(Self { target, side, context, encoding, body, inbound, outbound })
    }

    /// The service that is called.
    pub fn service(&self) -> &str {
        &self.target.service
    }

    /// The handler that is called.
    pub fn method(&self) -> &str {
        &self.target.method
    }
}

impl Target {
    /// A target whose names are known only at run time.
    pub fn new(
        service: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (service, method) = (service.into(), method.into());
        Self { service, method, kind: Kind::Unary, idempotent: false, contract: None }
    }
}

/// By its names and how it is called; types are not told apart here.
impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let key = |target: &Self| (target.kind, target.idempotent);
        self.service == other.service && self.method == other.method && key(self) == key(other)
    }
}

impl Eq for Target {}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.service, self.method)
    }
}

impl Reply {
    /// A reply with this body.
    pub fn new(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }
}

/// Which sides of a call stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One request, one reply.
    Unary,
    /// One request, many items back.
    ServerStream,
    /// Many items, one reply.
    ClientStream,
    /// Many items both ways.
    Bidi,
}

impl Kind {
    /// The name that people read: `unary`, `server stream`, `client stream`, `bidirectional`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server stream",
            Self::ClientStream => "client stream",
            Self::Bidi => "bidirectional",
        }
    }

    /// Whether the caller sends items.
    pub fn has_inbound(self) -> bool {
        matches!(self, Self::Bidi | Self::ClientStream)
    }

    /// Whether the handler sends items.
    pub fn has_outbound(self) -> bool {
        matches!(self, Self::Bidi | Self::ServerStream)
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }
}
