//! `#[micro::main]`: the runtime around an async `main`.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::{ReturnType, Type};

use crate::app::List;
use crate::diag::Diag;
use crate::parse::args::{Args, Value};
use crate::parse::item::Function;
use crate::parse::types;
use crate::span;

/// Expands the attribute.
pub(crate) fn expand(attr: TokenStream, item: TokenStream, diag: &mut Diag) -> TokenStream {
    let mut args = Args::parse(attr, diag);
    let krate = crate::lower::facade(&mut args, diag);
    let private = q!(#krate::__private);
    let Ok(function) = syn::parse2::<Function>(item.clone()) else {
        diag.at(
            Span::call_site(),
            "`#[micro::main]` goes on `async fn main() -> micro::Result<()>`",
        );
        return item;
    };
    if let Some(lead) = &args.lead {
        diag.at(lead.span(), "expected `services(..)`");
    }
    let mut list = None;
    let mut external = Vec::new();
    for arg in &args.entries {
        match (arg.key.to_string().as_str(), &arg.value) {
            ("services", Value::List(tokens)) => {
                list = diag.take(List::parse.parse2(tokens.clone()));
            }
            ("services", _) => {
                arg.not_a_list::<()>("services(PriceList as Quotes, Orders)", diag);
            }
            ("external", _) => external = arg.strings("external(\"payments.*\")", diag),
            _ => arg.unknown("micro::main", &["services", "external", "crate"], diag),
        }
    }
    let returned = signature(&function, diag);
    if !diag.is_empty() {
        return recovered(&function, &private);
    }
    let services = match list {
        None => q!(#private::Option::None),
        Some(mut list) => {
            list.external.extend(external);
            let (checked, registrations) =
                (list.descriptors(&private), list.registrations(&private));
            q!({
                const _: &[&#private::ServiceDescriptor] = #checked;
                #private::Option::Some(|| #registrations)
            })
        }
    };
    let ident = &function.sig.ident;
    let main = span::call(&q!(#ident), q!(), ident.span());
    let run = span::call(&q!(#private::block_on), q!(#services, #main), returned);
    q! {
        fn #ident() -> #private::std::process::ExitCode {
            #[allow(clippy::unused_async)]
            #function
            #run
        }
    }
}

/// Checks the signature; where the returned type stands.
fn signature(function: &Function, diag: &mut Diag) -> Span {
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        let text =
            "`#[micro::main]` goes on an async function: `async fn main() -> micro::Result<()>`";
        diag.at(sig.fn_token.span, text);
    }
    if !sig.inputs.is_empty() {
        diag.on(&sig.inputs, "`main` takes no parameters");
    }
    if !sig.generics.params.is_empty() {
        diag.on(&sig.generics.params, "`main` cannot be generic");
    }
    match &sig.output {
        ReturnType::Type(_, ty) if returns_nothing(ty) => syn::spanned::Spanned::span(ty),
        ReturnType::Type(_, ty) => {
            diag.on(ty, "`main` returns `micro::Result<()>`");
            Span::call_site()
        }
        ReturnType::Default => {
            let text = "`main` can fail: write `async fn main() -> micro::Result<()>`";
            diag.at(sig.ident.span(), text);
            Span::call_site()
        }
    }
}

fn returns_nothing(ty: &Type) -> bool {
    types::arguments(ty, "Result").is_some_and(|args| args.first().is_none_or(types::is_unit))
}

/// A `main` that compiles, so that only the reported mistake shows.
fn recovered(function: &Function, private: &TokenStream) -> TokenStream {
    let ident = &function.sig.ident;
    q! {
        fn #ident() -> #private::std::process::ExitCode {
            #[allow(dead_code, clippy::unused_async)]
            #function
            loop {}
        }
    }
}
