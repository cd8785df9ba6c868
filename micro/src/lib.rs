//! A microservice framework: annotate plain structs and functions, `cargo run`, and there is a service that
//! others discover, call, subscribe to and trust.
//!
//! ```no_run
//! use micro::prelude::*;
//!
//! #[message] // serde and a schema
//! pub struct HelloRequest {
//!     name: String,
//! }
//!
//! #[derive(Default)]
//! pub struct Greeter;
//!
//! #[service]
//! impl Greeter {
//!     /// Greets one person.
//!     #[handler(idempotent, public, get = "/v1/hello/{name}")]
//!     async fn hello(&self, req: HelloRequest) -> Result<String> {
//!         Ok(format!("Hello, {}!", req.name))
//!     }
//!
//!     #[handler] // several arguments travel by name
//!     async fn add(&self, a: i64, b: i64) -> i64 {
//!         a + b
//!     }
//!
//!     #[handler] // `Sink` out, `Streaming` in, or both
//!     async fn ticks(&self, upto: u32, out: Sink<u32>) -> Result<()> {
//!         for n in 0..upto {
//!             out.send(n).await?;
//!         }
//!         Ok(())
//!     }
//!
//!     #[subscribe("orders.*")] // the event's type names its topic
//!     async fn on_order(&self, order: OrderCreated) {
//!         println!("order {}", order.id);
//!     }
//! }
//!
//! #[event("orders.created")]
//! pub struct OrderCreated {
//!     id: u64,
//! }
//!
//! #[micro::main] // runtime, configuration, logs, signals, registration, drain
//! async fn main() -> micro::Result<()> {
//!     micro::run().await
//! }
//! ```
//!
//! Another service, or a test, calls it through the client that the attribute generated:
//!
//! ```no_run
//! # use micro::prelude::*;
//! # #[derive(Default)] pub struct Greeter;
//! # #[service] impl Greeter {
//! #     #[handler(idempotent)] async fn hello(&self, name: String) -> Result<String> { Ok(name) }
//! # }
//! # async fn example() -> Result<()> {
//! let app = micro::connect().await?;
//! let greeter: GreeterClient = app.service();
//! let text = greeter.hello("Ann".into()).timeout(micro::secs(1)).retry(2).await?;
//! # Ok(()) }
//! # fn main() {}
//! ```
//!
//! # The language
//!
//! | write | to get |
//! |---|---|
//! | [`#[service]`](macro@service) on `impl T`, `trait C`, `impl C for T`, `mod m { .. }` | a service, a contract, its server, a service without a struct |
//! | [`#[handler]`](macro@handler) on its functions | a route, and a method of the client |
//! | [`#[subscribe]`](macro@subscribe) | a subscription to the event that the function takes |
//! | [`#[init]`](macro@init), [`#[derive(Inject)]`](derive@Inject) or `Default` | how the service is made |
//! | [`#[message]`](macro@message), [`#[event]`](macro@event), [`#[fault]`](macro@fault) | types that travel |
//! | [`#[interceptor]`](macro@interceptor) | code that runs around calls |
//! | [`#[micro::main]`](macro@main) | the process |
//!
//! **By value means from the wire, by reference means from the call**: `req: HelloRequest` is decoded,
//! `ctx: &Context` and `who: &Principal` are lent. Errors are [`Status`]es or types marked `#[fault]`.
//!
//! # Under another name
//!
//! Generated code names `::micro`. Where the crate is called differently, or comes through another, one
//! line at the root of the crate is enough: `extern crate platform as micro;`. Every attribute also takes
//! `crate = ::platform::micro`.

#![forbid(unsafe_code)]

mod docs;

// A process.
#[doc(inline)]
pub use micro_core::{App, Running, config::Settings, connect, run, start};

// A call, and what a handler sees of it.
#[doc(inline)]
pub use micro_core::{
    Call, CallError, Channel, Client, Code, Context, Encoding, Executed, FromContext, Metadata,
    MetadataError, Peer, Principal, Result, ServiceClient, Sink, Status, StatusError, Streaming,
    stream,
};

// What the methods and constants of generated clients are made of.
#[doc(inline)]
pub use micro_core::client::{Awaited, Idempotent, Once, Pending, RepeatSafe, Route, StreamCall};

// What a service is made of.
#[doc(inline)]
pub use micro_core::{Config, Construct, Inject, Injector, Publisher};

// What runs around calls.
#[doc(inline)]
pub use micro_core::{
    BoxFuture, Incoming, Interceptor, InterceptorDescriptor, Next, Outcome, Phase, Reply, Side,
};

// What travels.
#[doc(inline)]
pub use micro_core::{Blob, Event, HandlerError, Id, Pattern, Schema, Topic, Wire};

#[doc(inline)]
pub use micro_macros::{
    Inject, Schema, app, event, fault, handler, init, interceptor, main, message, service,
    subscribe,
};

/// Bytes that are cheap to clone and to slice.
#[doc(no_inline)]
pub use micro_core::__private::Bytes;
/// What a handler may return to stream: `-> impl Stream<Item = u32>`.
#[doc(no_inline)]
pub use micro_core::__private::Stream;
/// What a call goes to, where its names are known only at run time; see [`Client::call`].
pub use micro_core::call::Target;
/// How often such a call may be sent.
pub use micro_core::client::Repeat;

// The seams, for those who bring a backend of their own.
#[doc(inline)]
pub use micro_core::{balance, broker, config, identity, registry, transport};

/// Questions about the services of a program, answered by the compiler or at run time.
pub mod check {
    pub use micro_core::__private::descriptor;
    pub use micro_core::check::{findings, matches, route, unheard};
    #[doc(inline)]
    pub use micro_core::service::ServiceDescriptor;
}

/// What most services use: `use micro::prelude::*;`
pub mod prelude {
    pub use crate::{
        App, CallError, Code, Config, Context, Incoming, Inject, Metadata, Next, Outcome,
        Principal, Publisher, Result, Sink, Status, Stream, Streaming, event, fault, handler, init,
        interceptor, message, millis, secs, service, subscribe,
    };
}

/// A whole number of seconds.
pub const fn secs(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

/// A whole number of milliseconds.
pub const fn millis(milliseconds: u64) -> std::time::Duration {
    std::time::Duration::from_millis(milliseconds)
}

/// What generated code names. No promise of stability holds here.
#[doc(hidden)]
pub mod __private {
    pub use micro_core::__private::*;
    pub use micro_macros::Schema;
}
