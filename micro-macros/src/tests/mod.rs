//! The macros as ordinary functions: what they expand to, and that no input makes them panic.

mod fuzz;
mod snapshots;

use proc_macro2::TokenStream;

use crate::diag::Diag;

/// Runs an expansion; the tokens and the errors.
fn expand(attribute: &str, attr: TokenStream, item: TokenStream) -> (TokenStream, TokenStream) {
    let mut diag = Diag::default();
    let tokens = match attribute {
        "service" => crate::service_tokens(attr, item, &mut diag),
        "interceptor" => crate::interceptor::expand(attr, item, &mut diag),
        "message" => crate::message::expand(attr, item, &mut diag),
        "event" => crate::event::expand(attr, item, &mut diag),
        "fault" => crate::fault::expand(attr, item, &mut diag),
        "main" => crate::main_fn::expand(attr, item, &mut diag),
        "Schema" => crate::schema::derive(item, &mut diag),
        "Inject" => crate::inject::derive(item, &mut diag),
        other => panic!("no attribute {other}"),
    };
    (tokens, diag.into_tokens())
}
