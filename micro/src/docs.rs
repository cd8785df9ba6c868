//! The chapters of `docs/` and the README as tests: every Rust block in them compiles, and runs unless it
//! says `no_run`.

#![cfg(doctest)]

macro_rules! chapters {
    ($($name:ident $path:literal;)*) => {
        $(#[doc = include_str!($path)] mod $name {})*
    };
}
chapters! {
    clients "../../docs/clients.md";
    coming_from "../../docs/coming-from.md";
    configuration "../../docs/configuration.md";
    decisions "../../docs/decisions.md";
    errors "../../docs/errors.md";
    events "../../docs/events.md";
    interceptors "../../docs/interceptors.md";
    readme "../../README.md";
    security "../../docs/security.md";
    services "../../docs/services.md";
    streams "../../docs/streams.md";
    testing "../../docs/testing.md";
    wire "../../docs/wire.md";
}
