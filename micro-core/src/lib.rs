//! The core of micro. Depend on the `micro` crate, which re-exports what users need.
//!
//! The modules in reading order, each using only those above it:
//! *words* (plain data, no I/O), *seams* (a trait and its backends), *engine* (knows traits, never a
//! backend), *edge* (assembles).

#![forbid(unsafe_code)]

// words
pub mod call;
pub mod codec;
pub mod context;
pub mod event;
pub mod fault;
mod hash;
pub mod id;
pub mod metadata;
pub mod schema;
pub mod stats;
pub mod status;
pub mod stream;
mod sync;
mod tasks;
pub mod text;
pub mod topic;
mod wire;

// seams
pub mod balance;
pub mod broker;
pub mod describe;
pub mod home;
pub mod identity;
pub mod interceptor;
pub mod registry;
pub mod service;
pub mod transport;

// engine
pub mod check;
pub mod client;
pub mod handler;
pub mod inject;
pub mod publisher;
pub mod router;
pub mod server;

// edge
pub mod app;
mod backends;
pub mod config;
pub mod telemetry;

#[doc(hidden)]
pub mod __private;

pub use app::{App, Running, connect, run, start};
pub use call::{BoxFuture, Incoming, Outcome, Reply, Side};
pub use client::{Call, Channel, Client, ServiceClient};
pub use codec::{Blob, Encoding, Wire};
pub use context::{Context, FromContext, Peer, Principal};
pub use event::Event;
pub use fault::{CallError, HandlerError};
pub use id::Id;
pub use inject::{Config, Construct, Inject, Injector};
pub use interceptor::{Interceptor, InterceptorDescriptor, Next, Phase};
pub use metadata::{Metadata, MetadataError};
pub use publisher::Publisher;
pub use schema::Schema;
pub use status::{Code, Executed, Result, Status, StatusError};
pub use stream::{Sink, Streaming};
pub use topic::{Pattern, Topic};
