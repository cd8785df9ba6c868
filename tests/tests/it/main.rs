//! The integration tests, in one binary.

mod conformance;
mod e2e;
mod engine;
mod hostile;
mod measure;
mod tidy;
