//! What the fail and pass cases share: contracts in a crate of their own, and services, under the strictest
//! lints that a user may set. That this crate compiles is a test by itself.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused, rust_2018_idioms)]
#![deny(
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    impl_trait_redundant_captures,
    let_underscore_drop,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::unwrap_used)]

pub mod quotes;
pub mod strict;

pub use quotes::{Quote, QuoteError, QuoteRequest, Quotes, QuotesClient};
