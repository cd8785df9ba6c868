//! What all tests share: conformance suites, one per seam, which every backend runs, and the service
//! that they call; services that leave evidence; and a way to run processes.

#![forbid(unsafe_code)]

pub mod conformance;
pub mod fixture;
pub mod lab;
pub mod process;
pub mod puppet;
