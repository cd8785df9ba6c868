//! Tokens to syntax. Nothing here knows what an attribute means.

pub(crate) mod args;
pub(crate) mod docs;
pub(crate) mod item;
pub(crate) mod types;
