//! Where generated tokens come from, and where they say they are.
//!
//! Hygiene and location are two things. Everything generated is `mixed_site`: its locals cannot clash with
//! the user's and lints take it for external. Only punctuation carries the user's location, because an
//! identifier that stands where the user's token stands is what "go to definition" would find there.

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

/// `quote!` with the hygiene of generated code.
macro_rules! q {
    ($($tokens:tt)*) => {
        ::quote::quote_spanned!(::proc_macro2::Span::mixed_site()=> $($tokens)*)
    };
}

/// Generated, but located at the user's token.
pub(crate) fn mixed(at: Span) -> Span {
    Span::mixed_site().located_at(at)
}

/// An identifier of generated code.
pub(crate) fn ident(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// `<path>::function::<>(args)`, of which an error is shown at `at`.
///
/// rustc takes the span of a call from its first token, the last one of its path, and the closing
/// parenthesis: those three marks are located at the user's token.
pub(crate) fn anchor(
    path: &TokenStream,
    function: &str,
    args: TokenStream,
    at: Span,
) -> TokenStream {
    let (open, close) = (punct('<', at), punct('>', at));
    let function = ident(function);
    let args = parenthesized(args, at);
    q!(#open #path > :: #function :: < #close #args)
}

/// `<ty>::method(args)`, of which an error (a future that is not `Send`) is shown at the method's name.
pub(crate) fn invoke(ty: &TokenStream, method: &Ident, args: TokenStream) -> TokenStream {
    let open = punct('<', method.span());
    let args = parenthesized(args, method.span());
    q!(#open #ty > :: #method #args)
}

/// `function(args)`, of which an error is shown at `at`.
pub(crate) fn call(function: &TokenStream, args: TokenStream, at: Span) -> TokenStream {
    let args = parenthesized(args, at);
    q!(#function #args)
}

/// `<ty as bound>::Type<>`, of which an error is shown at `at`.
pub(crate) fn project(ty: TokenStream, bound: &TokenStream, at: Span) -> TokenStream {
    let (open, close) = (punct('<', at), punct('>', at));
    q!(#open #ty as #bound>::Type < #close)
}

fn punct(mark: char, at: Span) -> TokenTree {
    let mut punct = Punct::new(mark, Spacing::Alone);
    punct.set_span(mixed(at));
    punct.into()
}

fn parenthesized(tokens: TokenStream, at: Span) -> TokenTree {
    let mut group = Group::new(Delimiter::Parenthesis, tokens);
    group.set_span(mixed(at));
    group.into()
}

/// The file and line of a token; empty outside of the compiler, i.e. in unit tests.
pub(crate) fn location(span: Span) -> (String, u32) {
    if !proc_macro::is_available() {
        return (String::new(), 0);
    }
    let span = span.unwrap();
    (span.file(), u32::try_from(span.line()).unwrap_or_default())
}
