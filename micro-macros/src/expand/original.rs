//! The user's item, re-emitted: without the helper attributes, and with what has to live inside of it.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{ReturnType, Type};

use super::{descriptor, recover, server};
use crate::model::{Form, Service};
use crate::parse::item::{Block, Function, Head, Piece};
use crate::parse::types;

/// The item of a sound service; a module takes what was generated into it.
pub(super) fn item(service: &Service, block: &Block, generated: &TokenStream) -> TokenStream {
    let hidden = match &service.form {
        Form::Contract => contract_items(service),
        Form::Implements(contract, ty) => server::served(service, contract, ty),
        Form::Inherent(_) => q!(),
        Form::Module => generated.clone(),
    };
    emit(service, block, &hidden)
}

/// The item of a service with mistakes.
pub(super) fn recovered(service: &Service, block: &Block, generated: &TokenStream) -> TokenStream {
    let hidden = match &service.form {
        Form::Contract => recover::contract_items(service),
        Form::Implements(..) | Form::Inherent(_) => q!(),
        Form::Module => generated.clone(),
    };
    emit(service, block, &hidden)
}

fn emit(service: &Service, block: &Block, hidden: &TokenStream) -> TokenStream {
    let Block { attrs, head, pieces, keyword: _ } = block;
    match head {
        Head::Impl { generics, contract, ty } => {
            let (params, _, bounds) = generics.split_for_impl();
            let own_bounds = match contract {
                Some(_) => server::bounds(service, &q!(#ty)),
                None => q!(#bounds),
            };
            let contract = contract.as_ref().map(|path| q!(#path for));
            let (moved, stay): (Vec<_>, Vec<_>) = pieces.iter().partition(|piece| is_moved(piece));
            let beside = (!moved.is_empty()).then(|| q!(impl #params #ty #bounds { #(#moved)* }));
            q!(#(#attrs)* impl #params #contract #ty #own_bounds { #(#stay)* #hidden } #beside)
        }
        Head::Trait { vis, ident, generics, supertraits } => {
            let private = service.private();
            let methods = pieces.iter().map(|piece| contract_piece(piece, &private));
            let more = q!(#private::Shared + #private::std::marker::Sized);
            let supertraits = if supertraits.is_empty() { more } else { q!(#supertraits + #more) };
            let (params, bounds) = (&generics.params, &generics.where_clause);
            let params = (!params.is_empty()).then(|| q!(<#params>));
            q! {
                #(#attrs)*
                #vis trait #ident #params: #supertraits #bounds { #(#methods)* #hidden }
            }
        }
        Head::Module { vis, ident } => q!(#(#attrs)* #vis mod #ident { #(#pieces)* #hidden }),
    }
}

fn is_moved(piece: &Piece) -> bool {
    matches!(piece, Piece::Function(function) if function.moved)
}

/// `async fn` becomes `-> impl Future + Send`, so that an implementation that cannot move between threads
/// is told so; implementors still write `async fn`.
fn contract_piece(piece: &Piece, private: &TokenStream) -> TokenStream {
    let Piece::Function(function) = piece else { return piece.to_token_stream() };
    let Function { attrs, vis, sig, body, .. } = &**function;
    let mut sig = sig.clone();
    let output = match &sig.output {
        ReturnType::Default => q!(()),
        ReturnType::Type(_, ty) => sendable(ty, private),
    };
    if sig.asyncness.take().is_none() {
        if let ReturnType::Type(arrow, _) = &sig.output {
            sig.output = ReturnType::Type(*arrow, Box::new(Type::Verbatim(output)));
        }
        return q!(#(#attrs)* #vis #sig #body);
    }
    let future = q!(-> impl #private::Future<Output = #output> + #private::std::marker::Send);
    sig.output = syn::parse_quote!(#future);
    let body = if function.has_body() { q!({ async move #body }) } else { body.clone() };
    q!(#(#attrs)* #vis #sig #body)
}

/// A returned `impl Stream` has to be `Send` as well.
fn sendable(ty: &Type, private: &TokenStream) -> TokenStream {
    match types::peel(ty) {
        Type::ImplTrait(stream) => {
            let bounds = &stream.bounds;
            q!(impl #bounds + #private::std::marker::Send)
        }
        _ => match types::arguments(ty, "Result").as_deref() {
            Some([first, ..]) if matches!(types::peel(first), Type::ImplTrait(_)) => {
                let first = Type::Verbatim(sendable(first, private));
                types::with_argument(ty, first).to_token_stream()
            }
            _ => ty.to_token_stream(),
        },
    }
}

/// The glue of a contract lives in the trait itself: an implementor needs only the trait's name in scope.
fn contract_items(service: &Service) -> TokenStream {
    let private = service.private();
    let (descriptor, ident) = (descriptor::of(service), &service.ident);
    let dispatch = server::dispatch(service, &q!(Self as #ident), &q!(<Self as #ident>::__MICRO));
    let quiet = super::quiet(&[]);
    q! {
        #[doc(hidden)]
        const __MICRO: &'static #private::ServiceDescriptor = #descriptor;
        #[doc(hidden)]
        const __MICRO_SERVED: #private::Option<#private::Registration> = #private::Option::None;
        #quiet
        #[doc(hidden)]
        fn __micro_dispatch(
            self: #private::Arc<Self>,
            method: #private::std::primitive::u16,
            mut call: #private::Incoming,
        ) -> #private::BoxFuture<'static, #private::Outcome> { #dispatch }
    }
}
