//! `#[message]`: what every type that travels gets: serde through the facade, and a schema.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, DeriveInput, Generics, LitStr, Meta, Path, Token};

use crate::diag::Diag;
use crate::parse::args::Args;
use crate::parse::types;

/// Expands the attribute.
pub(crate) fn expand(attr: TokenStream, item: TokenStream, diag: &mut Diag) -> TokenStream {
    let mut args = Args::parse(attr, diag);
    let krate = crate::lower::facade(&mut args, diag);
    if let Some(lead) = &args.lead {
        diag.at(lead.span(), "a message has no topic; write `#[event(\"..\")]` if it is an event");
    }
    for arg in &args.entries {
        arg.unknown("message", &["crate"], diag);
    }
    match parse(&item, diag) {
        Some(input) => derive(&input, &krate, &[], diag),
        None => item,
    }
}

/// The struct or enum under `#[message]`, `#[event]` or `#[fault]`.
pub(crate) fn parse(item: &TokenStream, diag: &mut Diag) -> Option<DeriveInput> {
    let Ok(input) = syn::parse2::<DeriveInput>(item.clone()) else {
        let first = item.clone().into_iter().find(|token| token.to_string() != "pub");
        diag.on(first, "only a struct or an enum can travel");
        return None;
    };
    if let syn::Data::Union(union) = &input.data {
        diag.at(union.union_token.span, "a union cannot travel; use an enum");
        return None;
    }
    Some(input)
}

/// The item with its derives.
pub(crate) fn derive(
    input: &DeriveInput,
    krate: &TokenStream,
    more: &[TokenStream],
    diag: &mut Diag,
) -> TokenStream {
    let private = q!(#krate::__private);
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let text = format!(
            "`{}` goes to another process and must own its data: `String` instead of `&str`, `Vec<T>` \
             instead of `&[T]`",
            input.ident
        );
        diag.at(lifetime.lifetime.span(), text);
        return input.to_token_stream();
    }
    for name in ["Serialize", "Deserialize"] {
        if let Some(path) = derived(&input.attrs, name) {
            let text = format!("the attribute derives `{name}` already: remove it here");
            diag.on(path, text);
            return input.to_token_stream();
        }
    }
    let serde = serde_path(&private);
    let serde = (!has_serde_crate(&input.attrs)).then(|| q!(#[serde(crate = #serde)]));
    let facade =
        (krate.to_string() != q!(::micro).to_string()).then(|| q!(#[micro(crate = #krate)]));
    q! {
        #[derive(
            #private::serde::Serialize,
            #private::serde::Deserialize,
            #private::Schema,
            #(#more),*
        )]
        #serde
        #facade
        #input
    }
}

/// The path of a derive with this name, if the item has it.
pub(crate) fn derived(attrs: &[Attribute], name: &str) -> Option<Path> {
    let lists = attrs.iter().filter(|attr| attr.path().is_ident("derive"));
    let mut paths = lists.flat_map(|attr| {
        let list =
            attr.parse_args_with(syn::punctuated::Punctuated::<Path, Token![,]>::parse_terminated);
        list.unwrap_or_default()
    });
    paths.find(|path| types::last(path).is_some_and(|last| last == name))
}

/// The generics with one more bound, where the type has parameters for it to speak about.
pub(crate) fn bounded(input: &DeriveInput, bound: &TokenStream) -> Generics {
    let mut generics = input.generics.clone();
    if !types::parameters(&generics).is_empty() {
        generics.make_where_clause().predicates.push(syn::parse_quote!(#bound));
    }
    generics
}

/// `"::micro::__private::serde"`
fn serde_path(private: &TokenStream) -> LitStr {
    let path = q!(#private::serde).to_string().replace(' ', "");
    LitStr::new(&path, proc_macro2::Span::mixed_site())
}

fn has_serde_crate(attrs: &[Attribute]) -> bool {
    attrs.iter().filter(|attr| attr.path().is_ident("serde")).any(|attr| match &attr.meta {
        Meta::List(list) => types::mentions(list.tokens.clone(), &["crate".to_owned()]).is_some(),
        _ => false,
    })
}
