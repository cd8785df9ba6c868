//! Model to tokens. Generated code holds no logic: it names the user's items and calls `__private`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Attribute;
use syn::spanned::Spanned;

use crate::model::{Form, Handler, Output, Service};
use crate::parse::item::{Block, Head};

mod asserts;
mod client;
mod descriptor;
mod original;
mod recover;
mod server;

/// Everything that a sound service expands to.
pub(crate) fn service(service: &Service, block: &Block) -> TokenStream {
    let generated = match &service.form {
        Form::Implements(..) => asserts::all(service),
        Form::Contract => {
            let (client, asserts) = (client::client(service), asserts::all(service));
            q!(#client #asserts)
        }
        Form::Inherent(_) | Form::Module => {
            let client = client::client(service);
            let (server, asserts) = (server::server(service), asserts::all(service));
            q!(#client #server #asserts)
        }
    };
    place(service, block, original::item(service, block, &generated), generated)
}

/// What a service with mistakes expands to: the user's item, and enough beside it that nothing else in the
/// crate fails because of them.
pub(crate) fn recover(service: &Service, block: &Block) -> TokenStream {
    let generated = match &service.form {
        Form::Implements(..) => q!(),
        Form::Contract => recover::client(service),
        Form::Inherent(_) | Form::Module => {
            let (client, server) = (recover::client(service), recover::server(service));
            q!(#client #server)
        }
    };
    place(service, block, original::recovered(service, block, &generated), generated)
}

/// Beside the item; a module holds what was generated, and its client is named outside too.
fn place(
    service: &Service,
    block: &Block,
    item: TokenStream,
    generated: TokenStream,
) -> TokenStream {
    let Head::Module { vis, ident } = &block.head else { return q!(#item #generated) };
    let (client, cfgs) = (&service.client, &service.cfgs);
    let docs = format!("Typed client of the service `{}`.", service.name);
    q! {
        #item
        #(#cfgs)*
        #[doc = #docs]
        #[allow(dead_code, unreachable_pub)]
        #vis type #client = #ident::#client;
    }
}

/// What generated items may do that the user's lints forbid: being unused, mostly.
fn quiet(cfgs: &[Attribute]) -> TokenStream {
    q! {
        #(#cfgs)*
        #[allow(
            clippy::all,
            clippy::nursery,
            clippy::pedantic,
            dead_code,
            deprecated,
            missing_debug_implementations,
            private_bounds,
            private_interfaces,
            unnameable_types,
            unreachable_code,
            unreachable_pub,
            unused_imports,
            unused_mut,
            unused_variables,
        )]
    }
}

/// `const { codec::<T>().decode }`: every use of one type goes through the same function with the user's
/// own tokens, so that rustc sees one mistake once, and only the half that is needed is instantiated.
fn codec(private: &TokenStream, ty: &impl ToTokens, half: &str) -> TokenStream {
    let half = crate::span::ident(half);
    q!(const { #private::codec::<#ty>().#half })
}

/// The codec of what a handler returns. What is no `Result` by its looks goes through a function of its own,
/// whose error knows of aliases.
fn reply_codec(handler: &Handler, private: &TokenStream, half: &str) -> TokenStream {
    match &handler.output {
        Output::Plain(ty) => {
            let half = crate::span::ident(half);
            q!(const { #private::answer::<#ty>().#half })
        }
        Output::Fallible(_) | Output::Stream { .. } => {
            codec(private, &handler.reply(private), half)
        }
    }
}

/// The tuple of several arguments, each through a projection: a type that cannot travel is then reported at
/// its own token, and not for the tuple again.
fn arguments(handler: &Handler, private: &TokenStream) -> TokenStream {
    let types = handler.wire().into_iter().map(|param| {
        let ty = &param.ty;
        crate::span::project(ty.to_token_stream(), &q!(#private::Argument), ty.span())
    });
    q!((#(#types),*))
}
