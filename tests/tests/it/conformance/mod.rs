//! Every backend of every seam against the suite of its seam.

mod broker;
mod registry;
pub(crate) mod transport;
