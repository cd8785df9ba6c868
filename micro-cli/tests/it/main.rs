//! The command as a process of its own, against services that this process runs over real QUIC.

#![expect(clippy::unwrap_used, reason = "tests")]

mod call;
mod events;
mod look;
mod new;
mod streams;
mod world;
