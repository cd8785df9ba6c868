//! One suite per seam: a function per behaviour, listed once by a macro that makes a test of each.

pub mod broker;
pub mod registry;
pub mod transport;
