//! The integration tests, in one binary.

mod blocked;
mod conformance;
mod e2e;
mod engine;
mod hostile;
mod leaks;
mod measure;
mod tidy;
