//! `micro::app![..]`: the descriptors of a list of services, checked against each other.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Ident, LitStr, Path, Token, Type, token};

use crate::diag::Diag;
use crate::parse::types;
use crate::span::{anchor, mixed};

/// One entry of a list of services.
pub(crate) struct Entry {
    ty: Type,
    contract: Option<Path>,
}

/// A list of services, and the topics that other processes emit.
#[derive(Default)]
pub(crate) struct List {
    entries: Vec<Entry>,
    pub(crate) external: Vec<LitStr>,
}

/// Expands `app![..]`.
pub(crate) fn expand(tokens: TokenStream, diag: &mut Diag) -> TokenStream {
    match diag.take(List::parse.parse2(tokens)) {
        Some(list) => list.descriptors(&q!(::micro::__private)),
        None => q!({
            const NONE: &[&::micro::__private::ServiceDescriptor] = &[];
            NONE
        }),
    }
}

impl List {
    /// `Type as Contract, module, external("payments.*")`
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut list = Self::default();
        while !input.is_empty() {
            if input.peek(Ident) && input.peek2(token::Paren) {
                list.external.extend(external(input)?);
            } else {
                list.entries.push(input.parse()?);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(list)
    }

    /// An expression: the descriptors.
    pub(crate) fn descriptors(&self, private: &TokenStream) -> TokenStream {
        let descriptors = self.entries.iter().map(|entry| entry.descriptor(private));
        let external = &self.external;
        let at = q!(#private::At);
        let checks = self.entries.iter().enumerate().map(|(index, entry)| {
            let args = q!(&__SURVEY, __SERVICES, __EXTERNAL, #index);
            let check = anchor(&at, "app", args, entry.span());
            q!(const _: () = #check;)
        });
        q! {{
            const __SERVICES: &[&#private::ServiceDescriptor] = &[#(#descriptors),*];
            const __EXTERNAL: &[&#private::std::primitive::str] = &[#(#external),*];
            const __SURVEY: #private::check::Survey = #private::check::Survey::of(__SERVICES);
            #(#checks)*
            __SERVICES
        }}
    }

    /// An expression: the registrations.
    pub(crate) fn registrations(&self, private: &TokenStream) -> TokenStream {
        let registrations = self.entries.iter().map(|entry| entry.registration(private));
        q!(#private::std::vec![#(#registrations),*])
    }
}

fn external(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    let word: Ident = input.parse()?;
    if word != "external" {
        let text = format!("expected a service or `external(\"topic\")`, found `{word}(..)`");
        return Err(syn::Error::new(word.span(), text));
    }
    let content;
    syn::parenthesized!(content in input);
    let topics = content.parse_terminated(<LitStr as Parse>::parse, Token![,])?;
    for topic in &topics {
        if let Some(problem) = crate::event::topic_problem(&topic.value(), true) {
            let text = format!("the pattern `{}` {problem}", topic.value());
            return Err(syn::Error::new(topic.span(), text));
        }
    }
    Ok(topics.into_iter().collect())
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut ty = Type::without_plus(input)?;
        let contract = match input.parse::<Option<Token![as]>>()? {
            Some(_) => Some(input.call(Path::parse_mod_style)?),
            None => None,
        };
        if let Type::Path(path) = &mut ty
            && let Some(last) = path.path.segments.last()
            && last.ident.to_string().starts_with(char::is_lowercase)
            && last.arguments.is_none()
        {
            // A module: the type that stands for it is inside.
            let service = Ident::new("Service", mixed(last.ident.span()));
            path.path.segments.push(service.into());
        }
        Ok(Self { ty, contract })
    }
}

impl Entry {
    fn span(&self) -> proc_macro2::Span {
        syn::spanned::Spanned::span(&self.ty)
    }

    /// How the type is registered: through the contract where one is named, else the only way there is.
    fn registration(&self, private: &TokenStream) -> TokenStream {
        let ty = &self.ty;
        let Some(contract) = &self.contract else { return q!(#private::register::<#ty, _>()) };
        let (ty_name, contract_name) = (types::text(ty), types::text(&contract.to_token_stream()));
        let args = q!(<#ty as #contract>::__MICRO_SERVED, #ty_name, #contract_name);
        let served = anchor(&q!(#private::At), "served", args, self.span());
        q!(const { #served })
    }

    fn descriptor(&self, private: &TokenStream) -> TokenStream {
        let registration = self.registration(private);
        q!(#registration.descriptor)
    }
}
