//! `#[derive(Inject)]`: a struct whose fields the app provides.

use proc_macro2::TokenStream;
use syn::{Attribute, Data, DeriveInput, Field};

use crate::diag::Diag;
use crate::parse::args::{Args, Value};

/// Expands the derive.
pub(crate) fn derive(item: TokenStream, diag: &mut Diag) -> TokenStream {
    let Some(input) = diag.take(syn::parse2::<DeriveInput>(item)) else { return q!() };
    let mut krate = q!(::micro);
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("inject")) {
        let mut args = Args::of(attr, diag);
        krate = crate::lower::facade(&mut args, diag);
        for arg in &args.entries {
            arg.unknown("inject", &["crate"], diag);
        }
    }
    let private = q!(#krate::__private);
    let Data::Struct(data) = &input.data else {
        diag.at(input.ident.span(), "only a struct has fields to inject");
        return q!();
    };
    let mut fields = q!();
    for (index, field) in data.fields.iter().enumerate() {
        let value = value(field, &private, diag);
        let name = match &field.ident {
            Some(name) => q!(#name),
            None => {
                let index = syn::Index::from(index);
                q!(#index)
            }
        };
        fields.extend(q!(#name: #value,));
    }
    let ident = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    q! {
        #[automatically_derived]
        #[allow(clippy::unused_async)]
        impl #generics #private::Construct for #ident #arguments #bounds {
            async fn construct(from: &#private::Injector) -> #private::Result<Self> {
                let _ = from;
                #private::StdResult::Ok(Self { #fields })
            }
        }
        #[automatically_derived]
        impl #generics #private::Inject for #ident #arguments #bounds {
            async fn inject(from: &#private::Injector) -> #private::Result<Self> {
                <Self as #private::Construct>::construct(from).await
            }
        }
    }
}

fn value(field: &Field, private: &TokenStream, diag: &mut Diag) -> TokenStream {
    let ty = &field.ty;
    match field.attrs.iter().find(|attr| attr.path().is_ident("inject")) {
        Some(attr) => given(attr, private, diag),
        None => q!(#private::injector::<#ty>()(from).await?),
    }
}

/// The value of a field that is not injected.
fn given(attr: &Attribute, private: &TokenStream, diag: &mut Diag) -> TokenStream {
    let default = q!(#private::std::default::Default::default());
    let args = Args::of(attr, diag);
    let mut value = None;
    for arg in &args.entries {
        let given = match (arg.key.to_string().as_str(), &arg.value) {
            ("default", Value::Flag) => default.clone(),
            ("value", Value::Expr(expr)) => q!(#expr),
            ("default", _) => {
                diag.at(arg.key.span(), "`default` takes no value; write `value = ..` for one");
                continue;
            }
            ("value", _) => {
                diag.at(arg.key.span(), "`value` takes an expression: `value = 7`");
                continue;
            }
            _ => {
                arg.unknown("inject", &["default", "value"], diag);
                continue;
            }
        };
        if value.replace(given).is_some() {
            diag.at(arg.key.span(), "`default` and `value` exclude each other");
        }
    }
    if value.is_none() && diag.is_empty() {
        let text = "say what stands in the field: `#[inject(default)]` or `#[inject(value = ..)]`";
        diag.on(attr, text);
    }
    value.unwrap_or(default)
}
