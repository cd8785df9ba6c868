//! A typed call: what the generated client hands to the user, and what happens when it is awaited.
//!
//! Stub -> here -> interceptors -> `attempt` (deadline, retry, hedge) -> resolver -> balance -> pool ->
//! transport.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Channel;
use super::attempt::{Repeat, Unary};
use super::route::{RepeatSafe, Route};
use crate::call::{BoxFuture, Incoming, Kind, Target};
use crate::codec::{Decode, Encode, Encoding};
use crate::context::{Context, Scope};
use crate::fault::HandlerError;
use crate::id::Id;
use crate::metadata::{Metadata, MetadataError};
use crate::status::{Executed, Result, Status};
use crate::stream::{self, Items, Sink, Streaming};
use crate::transport::Request;

/// A unary call. Nothing happens until it is awaited; dropping what it awaits cancels it on the server.
///
/// A call that a handler makes inherits the time left and the correlation id of the call that it serves.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<'a, Req, Rep, E, R> {
    channel: &'a Channel,
    route: Route<Req, Rep, E, R>,
    request: Req,
    options: Options,
}

/// A streaming call; awaiting it opens the stream.
#[must_use = "a call does nothing until it is awaited"]
pub struct StreamCall<'a, Open> {
    channel: &'a Channel,
    target: Target,
    body: Result<Bytes>,
    finish: Finish<Open>,
    options: Options,
}

type Finish<Open> = Box<dyn FnOnce(Items, Option<stream::ItemSink>) -> Open + Send>;

/// What a caller may say about one call.
#[derive(Debug, Default)]
pub(super) struct Options {
    timeout: Option<Duration>,
    metadata: Metadata,
    // Boxed where they are rare, since every call is moved with room for them.
    invalid: Option<Box<MetadataError>>,
    encoding: Encoding,
    scope: Option<Box<Scope>>,
    repeat: Option<Box<Repeat>>,
}

macro_rules! options {
    () => {
        /// How long to wait for the end of the call, from when it is awaited. Never longer than what is
        /// left of the call that it is made for.
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.options.timeout = Some(timeout);
            self
        }

        /// Sends a value beside the request. A key or value that is not allowed fails the call.
        pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            if let Err(error) = self.options.metadata.insert(key, value) {
                self.options.invalid.get_or_insert_with(|| Box::new(error));
            }
            self
        }

        /// Makes the call part of `context`'s: needed only in tasks that a handler started.
        pub fn within(mut self, context: &Context) -> Self {
            self.options.scope = Some(Box::new(context.scope_of_call()));
            self
        }
    };
}

impl<'a, Req, Rep, E, R> Call<'a, Req, Rep, E, R> {
    /// A call of `route`; what the methods of a generated client return.
    pub fn new(channel: &'a Channel, route: Route<Req, Rep, E, R>, request: Req) -> Self {
        Self { channel, route, request, options: Options::default() }
    }

    options!();

    /// Encodes request and reply so; MessagePack unless given.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.options.encoding = encoding;
        self
    }

    /// How often the call may be sent in all when the network or the instance fails; 3 unless given.
    /// Each further attempt goes to another instance if there is one, and draws on a budget.
    pub fn retry(mut self, attempts: u32) -> Self
    where
        R: RepeatSafe,
    {
        self.options.repeat.get_or_insert_default().attempts = Some(attempts.max(1));
        self
    }

    /// Sends the call to a second instance when the first has not answered after `delay`, and takes
    /// whichever answer comes first.
    pub fn hedge(mut self, delay: Duration) -> Self
    where
        R: RepeatSafe,
    {
        self.options.repeat.get_or_insert_default().hedge = Some(delay);
        self
    }
}

impl<'a, Req, Rep, E, R> IntoFuture for Call<'a, Req, Rep, E, R>
where
    Rep: Send + 'a,
    E: HandlerError,
{
    type Output = Result<Rep, E::Remote>;
    type IntoFuture = Awaited<'a, Rep, E>;

    #[inline]
    fn into_future(self) -> Self::IntoFuture {
        let Self { channel, route, request, options } = self;
        let (encoding, decode) = (options.encoding, route.decoder());
        let body = route.encode(encoding, &request);
        let unary = options.unary(channel, route.target(), body);
        Awaited { unary, encoding, decode, error: PhantomData }
    }
}

/// A unary [`Call`] that is being made. Dropping it cancels it on the server.
#[must_use = "a call does nothing until it is awaited"]
pub struct Awaited<'a, Rep, E> {
    unary: Unary<'a>,
    encoding: Encoding,
    decode: Decode<Rep>,
    error: PhantomData<fn() -> E>,
}

impl<Rep, E: HandlerError> Future for Awaited<'_, Rep, E> {
    type Output = Result<Rep, E::Remote>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let (encoding, decode) = (self.encoding, self.decode);
        Poll::Ready(match ready!(Pin::new(&mut self.unary).poll(cx)) {
            Ok(reply) => decode(encoding, &reply.body).map_err(|status| unreadable(status).into()),
            Err(status) => Err(E::from_status(status)),
        })
    }
}

impl<'a, Open> StreamCall<'a, Open> {
    options!();
}

impl<'a, T: 'static> StreamCall<'a, Streaming<T>> {
    /// A call whose reply is a stream.
    pub fn server<Req, Rep, E, R>(
        channel: &'a Channel,
        route: Route<Req, Rep, E, R>,
        request: &Req,
        decode: Decode<T>,
    ) -> Self {
        let finish = move |items, _| Streaming::new(items, Encoding::default(), decode);
        Self::new(channel, route, request, Box::new(finish))
    }
}

impl<'a, I: 'static, T: 'static> StreamCall<'a, (Sink<I>, Streaming<T>)> {
    /// A call that streams both ways.
    pub fn bidi<Req, Rep, E, R>(
        channel: &'a Channel,
        route: Route<Req, Rep, E, R>,
        request: &Req,
        encode: Encode<I>,
        decode: Decode<T>,
    ) -> Self {
        let finish = move |items, sink: Option<_>| {
            let items = Streaming::new(items, Encoding::default(), decode);
            (sender(sink, encode), items)
        };
        Self::new(channel, route, request, Box::new(finish))
    }
}

impl<'a, I: 'static, Rep: Send + 'static, E: HandlerError>
    StreamCall<'a, (Sink<I>, Pending<Rep, E>)>
{
    /// A call whose request is a stream.
    pub fn client<Req, R>(
        channel: &'a Channel,
        route: Route<Req, Rep, E, R>,
        request: &Req,
        encode: Encode<I>,
    ) -> Self {
        let decode = route.decoder();
        let finish = move |items, sink: Option<_>| {
            (sender(sink, encode), Pending { items, decode, error: PhantomData })
        };
        Self::new(channel, route, request, Box::new(finish))
    }
}

fn sender<I>(sink: Option<stream::ItemSink>, encode: Encode<I>) -> Sink<I> {
    // A call without a way out would be a mistake of the generated code; an ended sink says so.
    Sink::new(sink.unwrap_or_else(|| stream::items().0), Encoding::default(), encode)
}

impl<'a, Open> StreamCall<'a, Open> {
    fn new<Req, Rep, E, R>(
        channel: &'a Channel,
        route: Route<Req, Rep, E, R>,
        request: &Req,
        finish: Finish<Open>,
    ) -> Self {
        let options = Options::default();
        let body = route.encode(options.encoding, request);
        Self { channel, target: route.target(), body, finish, options }
    }
}

impl<'a, Open: Send + 'a> IntoFuture for StreamCall<'a, Open> {
    type Output = Result<Open>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { channel, target, body, finish, options } = self;
        let call = body.and_then(|body| options.outgoing(channel, target, body));
        Box::pin(async move {
            let (items, sink) = channel.client.open(call?).await?;
            Ok(finish(items, sink))
        })
    }
}

/// The reply of a client stream, once all items are sent and the [`Sink`] is dropped.
#[must_use = "a reply is read by awaiting it"]
pub struct Pending<Rep, E> {
    items: Items,
    decode: Decode<Rep>,
    error: PhantomData<fn() -> E>,
}

impl<Rep: Send + 'static, E: HandlerError> IntoFuture for Pending<Rep, E> {
    type Output = Result<Rep, E::Remote>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.items.next().await {
                Some(Ok(body)) => {
                    Ok((self.decode)(Encoding::default(), &body).map_err(unreadable)?)
                }
                Some(Err(status)) => Err(E::from_status(status)),
                None => Err(Status::internal("the call ended without a reply").into()),
            }
        })
    }
}

/// A reply that does not fit is no mistake of the request: client and server were built from different
/// contracts.
fn unreadable(status: Status) -> Status {
    let text = format!("the reply cannot be read: {}", status.message());
    Status::internal(text).with_executed(Executed::Yes)
}

impl Options {
    /// A unary call, ready to be sent.
    fn unary<'a>(self, channel: &'a Channel, target: Target, body: Result<Bytes>) -> Unary<'a> {
        let inner = &*channel.client.0;
        if !inner.chain.is_empty() {
            return Unary::long(
                inner,
                Box::pin(async move {
                    let repeat = self.repeat.as_deref().copied().unwrap_or_default();
                    channel.client.call(self.outgoing(channel, target, body?)?, repeat).await
                }),
            );
        }
        if let Some(error) = self.invalid {
            return Unary::failed(inner, Status::invalid_argument(error.to_string()));
        }
        let body = match body {
            Ok(body) => body,
            Err(status) => return Unary::failed(inner, status),
        };
        let now = Instant::now();
        let Scope { deadline, correlation, repeated } = self.scope_of(channel, target.kind, now);
        let Self { metadata, encoding, repeat, .. } = self;
        let target = Target { service: channel.service.clone(), ..target };
        let request =
            Request { target, encoding, now, deadline, correlation, repeated, metadata, body };
        Unary::new(inner, channel.found(), request, repeat)
    }

    /// Puts the call together for what runs around it.
    fn outgoing(self, channel: &Channel, mut target: Target, body: Bytes) -> Result<Incoming> {
        if let Some(error) = self.invalid {
            return Err(Status::invalid_argument(error.to_string()));
        }
        target.service = channel.service.clone();
        let scope = self.scope_of(channel, target.kind, Instant::now());
        let mut context = Context::with_scope(scope);
        context.set_metadata(self.metadata);
        Ok(Incoming::outgoing(target, context, self.encoding, body))
    }

    /// The deadline, and what the call inherits from the one that it is made for.
    #[inline]
    fn scope_of(&self, channel: &Channel, kind: Kind, now: Instant) -> Scope {
        let limits = channel.client.timeouts();
        let deadline = now + self.timeout.unwrap_or(limits.of(kind)).min(limits.longest);
        match self.scope.as_deref().copied().or_else(Context::inherited) {
            Some(scope) => Scope { deadline: deadline.min(scope.deadline), ..scope },
            None => Scope { deadline, correlation: Id::random(), repeated: false },
        }
    }
}

macro_rules! debug {
    ($($name:ident<$($p:tt),+>;)*) => {$(
        impl<$($p),+> fmt::Debug for $name<$($p),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
debug! {
    Call<'a, Req, Rep, E, R>;
    StreamCall<'a, Open>;
    Awaited<'a, Rep, E>;
    Pending<Rep, E>;
}
