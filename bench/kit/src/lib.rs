//! What every peer of the benchmark shares, so that peers differ in nothing but the framework.
//!
//! A peer is a binary of three parts: [`main`] with a [`Peer`], whose `serve` is the server half and whose
//! `client` is the client half. The client half opens connections; what is done with them (closed-loop
//! callers, a stream, handshakes, idle connections, fan-out) is the kit's, the same for all.
//!
//! The message of all calls is `{ id: u64, name: String, payload: bytes }` with the name [`NAME`]. Each
//! peer declares it in its own way and chooses its own codec: whatever is fastest there without
//! unsafe tricks. [`Caller::call`] returns what came back, and the kit checks it.

mod args;
mod clock;
mod load;
mod modes;
mod peer;
#[cfg(feature = "quic")]
pub mod quic;
mod report;
mod tally;
pub mod tls;

pub use args::{Mode, Runtime};
pub use peer::{Caller, Client, Connection, Echo, Peer, Server, main, on_own_runtime};
pub use tally::Tally;

/// Everybody's allocator: the default one of Linux would measure itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The `name` of every message: sixteen characters.
pub const NAME: &str = "abcdefghijklmnop";

/// The largest message that a peer must be set up for; frameworks have lower defaults.
pub const LARGEST: usize = 64 << 20;

/// The payload of a message of this size.
pub fn payload(size: usize) -> bytes::Bytes {
    bytes::Bytes::from(vec![0x5a; size])
}
