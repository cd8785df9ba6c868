//! What generated code calls, and nothing else. No promise of stability holds here.

pub use std::any::TypeId;
pub use std::convert::Infallible;
pub use std::future::Future;
pub use std::marker::PhantomData;
pub use std::option::Option;
pub use std::result::Result as StdResult;
pub use std::string::String;
pub use std::sync::Arc;
pub use std::time::Duration;

pub use bytes::Bytes;
pub use futures_core::Stream;
pub use {inventory, serde, std};

pub use crate::check::{self, At};
pub use crate::client::{
    Call, Channel, Encoder, Idempotent, Once, Pending, Route, ServiceClient, StreamCall,
};
pub use crate::codec::args::{WireArgs, args};
pub use crate::codec::{Decode, Encode, Encoding, Wire, codec};
pub use crate::context::{Context, FromContext};
pub use crate::event::{Event, event};
pub use crate::fault::{CallError, HandlerError, from_status, into_status};
pub use crate::handler::{BoxFuture, Incoming, Outcome, Registration, Reply, Serve, Shared};
pub use crate::inject::{Construct, Inject, Injector};
pub use crate::interceptor::{
    Applied, Declared, Filter, Interceptor, InterceptorDescriptor, Next, Phase,
};
pub use crate::schema::{self, Schema};
pub use crate::service::{
    Access, HttpBinding, Kind, Location, MethodDescriptor, ServiceDescriptor,
    SubscriptionDescriptor,
};
pub use crate::status::{Code, Result, Status};
pub use crate::stream::{Sink, Streaming};

use crate::schema::Type;

// ---- witnesses: one bounded function per fact, so that a mistake is reported once ----

/// The functions of an error type.
#[derive(Debug)]
pub struct ErrorCodec<E> {
    /// To the status that travels.
    pub into_status: fn(E, Encoding) -> Status,
}

/// `E` may be the error of a handler.
pub const fn error<E: HandlerError>() -> ErrorCodec<E> {
    ErrorCodec { into_status: E::into_status }
}

/// What a handler may return that is no `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel over the wire",
    label = "needs `Serialize` and `Deserialize`, and must own its data",
    note = "write `#[message]` above `{Self}`, or derive `serde::Serialize` and `serde::Deserialize`",
    note = "a `Result` is seen where it is spelled out or its alias is named `Result`"
)]
pub trait Answer: Wire {}

#[diagnostic::do_not_recommend]
impl<T: Wire> Answer for T {}

/// The codec of a reply that is no `Result`.
pub const fn answer<T: Answer>() -> crate::codec::Codec<T> {
    codec::<T>()
}

/// One of several arguments: the type itself, if it can travel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel over the wire",
    label = "needs `Serialize` and `Deserialize`, and must own its data",
    note = "write `#[message]` above `{Self}`, or derive `serde::Serialize` and `serde::Deserialize`",
    note = "parameters taken by value come from the request; take server-side values by reference (`ctx: &Context`)"
)]
pub trait Argument {
    /// Itself.
    type Type;
}

#[diagnostic::do_not_recommend]
impl<T: Wire> Argument for T {
    type Type = T;
}

/// Where a value stands as the user sees it: a call to it begins and ends with marks at the user's token.
#[derive(Debug)]
pub struct Here;

impl Here {
    /// What an interceptor gets.
    pub fn call(call: Incoming) -> Incoming {
        call
    }

    /// What an interceptor gets, too.
    pub fn next(next: Next<'_>) -> Next<'_> {
        next
    }

    /// A field.
    pub fn field<T: ?Sized>(field: &T) -> &T {
        field
    }
}

/// The key of an event.
pub fn event_key<T: std::fmt::Display + ?Sized>(field: &T) -> String {
    field.to_string()
}

/// `&T` may be a parameter.
pub const fn from_context<T: FromContext>() -> fn(&Context) -> Result<&T> {
    T::from_context
}

/// `T` may be a parameter of `#[init]` or a field of `#[derive(Inject)]`.
pub const fn injector<'a, T: Inject + 'a>() -> fn(&'a Injector) -> BoxFuture<'a, Result<T>> {
    |from| Box::pin(T::inject(from))
}

/// `T` can be made without arguments.
pub const fn constructor<'a, T: Construct + 'a>() -> fn(&'a Injector) -> BoxFuture<'a, Result<T>> {
    |from| Box::pin(T::construct(from))
}

/// What a `#[service(manual)]` says when it is to be built.
pub fn manual<T>(name: &str) -> Result<T> {
    Err(Status::failed_precondition(format!(
        "`{name}` is marked `#[service(manual)]`: hand a ready value to the app with `App::service`"
    )))
}

/// Checks that a service can be shared.
pub const fn assert_shared<T: Shared>() {}

/// The registration of a service. The first bound is what is reported of a type that cannot be shared.
pub const fn register<T: Shared + Serve<C>, C: 'static>() -> Registration {
    Registration::of::<T, C>()
}

/// The descriptor of a service; `C` is inferred when there is one contract.
pub const fn descriptor<T: Serve<C>, C>() -> &'static ServiceDescriptor {
    T::DESCRIPTOR
}

/// The type is a `Result`: finds its two types through an alias named `Result`.
#[diagnostic::on_unimplemented(
    message = "a fallible handler must return `Result<T, E>`",
    label = "not a `Result`"
)]
pub trait Fallible {
    /// `T`
    type Ok;
    /// `E`
    type Err;
}

impl<T, E> Fallible for StdResult<T, E> {
    type Ok = T;
    type Err = E;
}

/// Asks about a type what may not be known: inherent constants win over those of a trait in scope.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

/// The answer when the type is no `Result`.
pub trait NotResult {
    /// Whether it is.
    const IS_RESULT: bool = false;
}

impl<T> NotResult for Probe<T> {}

// A `Result` that cannot travel is reported as such.
impl<T: Wire, E: Wire> Probe<StdResult<T, E>> {
    /// Whether it is.
    pub const IS_RESULT: bool = true;
}

/// The answer when the type has no schema.
pub trait NoSchema {
    /// What is known of it.
    const TYPE: &'static Type = schema::ANY;
}

impl<T> NoSchema for Probe<T> {}

impl<T: Schema> Probe<T> {
    /// What is known of it.
    pub const TYPE: &'static Type = T::TYPE;
}

// ---- glue: what one call does around the user's function ----

/// One call of a handler as the future that runs it.
pub fn run(run: impl Future<Output = Outcome> + Send + 'static) -> BoxFuture<'static, Outcome> {
    Box::pin(run)
}

/// Decodes the only argument, and drops the bytes: they would keep a buffer of the transport.
pub fn request<T>(decode: Decode<T>, encoding: Encoding, body: Bytes) -> Result<T> {
    decode(encoding, &body)
}

/// Decodes several arguments. Without a bound, which [`args`] has.
pub fn arguments<T>(
    decode: fn(crate::codec::args::Names, Encoding, &Bytes) -> Result<T>,
    names: crate::codec::args::Names,
    encoding: Encoding,
    body: Bytes,
) -> Result<T> {
    decode(names, encoding, &body)
}

/// The stream that the caller sends.
pub fn inbound<T>(decode: Decode<T>, call: &mut Incoming) -> Result<Streaming<T>> {
    match call.inbound.take() {
        Some(items) => Ok(Streaming::new(items, call.encoding, decode)),
        None => Err(Status::invalid_argument(format!("{} takes a stream of items", call.target))),
    }
}

/// The stream that the handler sends.
pub fn outbound<T>(encode: Encode<T>, call: &mut Incoming) -> Result<Sink<T>> {
    match call.outbound.take() {
        Some(items) => Ok(Sink::new(items, call.encoding, encode)),
        None => Err(Status::invalid_argument(format!("{} answers with a stream", call.target))),
    }
}

/// Encodes what the handler returned.
pub fn reply<T, E>(
    encode: Encode<T>,
    error: fn(E, Encoding) -> Status,
    encoding: Encoding,
    result: StdResult<T, E>,
) -> Outcome {
    match result {
        Ok(value) => encode(encoding, &value).map(Reply::new),
        Err(e) => Err(error(e, encoding)),
    }
}

/// A handler that cannot fail.
pub fn infallible<T>(value: T) -> StdResult<T, Infallible> {
    Ok(value)
}

/// The end of a call that is answered by a stream, or of an event: no body.
pub fn done<T, E>(
    error: fn(E, Encoding) -> Status,
    encoding: Encoding,
    result: StdResult<T, E>,
) -> Outcome {
    result.map(|_| Reply::default()).map_err(|e| error(e, encoding))
}

/// Requires a future to be `Send`, at the place of the call.
pub fn require_send<F: Future + Send>(future: F) -> F {
    future
}

/// What `#[interceptor]` makes of the user's function.
pub fn boxed<'a>(run: impl Future<Output = Outcome> + Send + 'a) -> BoxFuture<'a, Outcome> {
    Box::pin(run)
}

/// Requires a stream to be `Send`, at the place of the call.
pub fn require_stream<S: Stream + Send>(stream: S) -> S {
    stream
}

/// The stream of a handler that could not open it.
pub fn opened<S, E>(
    error: fn(E, Encoding) -> Status,
    encoding: Encoding,
    result: StdResult<S, E>,
) -> Result<S> {
    result.map_err(|e| error(e, encoding))
}

/// Sends what a returned stream yields.
pub async fn forward<S: Stream>(stream: S, sink: Sink<S::Item>) -> Outcome {
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        sink.send(item).await?;
    }
    Ok(Reply::default())
}

/// Sends what a returned stream yields, until an error ends the call.
pub async fn try_forward<S, T, E>(
    stream: S,
    sink: Sink<T>,
    error: fn(E, Encoding) -> Status,
    encoding: Encoding,
) -> Outcome
where
    S: Stream<Item = StdResult<T, E>>,
{
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        sink.send(item.map_err(|e| error(e, encoding))?).await?;
    }
    Ok(Reply::default())
}

/// The answer to an index that no handler has: a peer resolved it against another build.
pub fn no_method(call: &Incoming) -> Outcome {
    Err(Status::unimplemented(format!("{} is not served here", call.target)))
}

/// Runs `main`'s body with the services that `#[micro::main(services(..))]` lists.
pub use crate::app::main::block_on;
