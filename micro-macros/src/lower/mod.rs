//! Syntax to model: the rules that concern one item, checked as it is read.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Generics, Path, Type, Visibility};

use crate::diag::{Diag, nearest};
use crate::model::{Form, Service};
use crate::parse::args::Args;
use crate::parse::item::{Block, Function, Head, Piece};
use crate::parse::types;
use crate::span::ident;

mod events;
mod handler;
mod init;
mod options;
mod signature;

pub(crate) use options::{check_name, facade, pascal};

/// What the rules of one function need to know about the item around it.
struct Scope {
    /// `impl`, `trait` or `mod`.
    place: Place,
    /// What `Self` stands for.
    self_ty: TokenStream,
    /// The type and constant parameters around the function.
    parameters: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Contract,
    Implements,
    Inherent,
    Module,
}

/// The attributes that mean something to the functions of a service.
const HELPERS: &[&str] = &["handler", "subscribe", "init"];

/// Reads the attribute and the item; the helper attributes are taken out of the item.
pub(crate) fn service(attr: TokenStream, block: &mut Block, diag: &mut Diag) -> Service {
    let (mut service, scope) = blank(block, diag);
    options::read(Args::parse(attr, diag), scope.place, &mut service, diag);
    let mut any_public = false;
    for piece in &mut block.pieces {
        let Piece::Function(function) = piece else { continue };
        any_public |= function_of(function, &scope, &mut service, diag);
    }
    if scope.place == Place::Inherent && !any_public {
        service.client_vis = q!(pub(crate));
    }
    crate::check::service(&service, block, diag);
    service
}

/// A service without options and functions.
fn blank(block: &Block, diag: &mut Diag) -> (Service, Scope) {
    let (name, client_vis, generics, self_ty, form, place) = match &block.head {
        Head::Impl { generics, contract, ty } => {
            let name = match types::peel(ty) {
                Type::Path(path) => types::last(&path.path).cloned(),
                _ => None,
            };
            let name = name.unwrap_or_else(|| {
                diag.on(ty, "`#[service]` needs a type with a name");
                ident("Service")
            });
            let (form, place) = match contract {
                Some(path) => (Form::Implements(path.clone(), (**ty).clone()), Place::Implements),
                None => (Form::Inherent((**ty).clone()), Place::Inherent),
            };
            (name, q!(pub), (**generics).clone(), ty.to_token_stream(), form, place)
        }
        Head::Trait { vis, ident, generics, .. } => {
            if !generics.params.is_empty() {
                let text = "a contract cannot be generic: its routes are known at compile time";
                diag.on(&generics.params, text);
            }
            let vis = vis.to_token_stream();
            (ident.clone(), vis, Generics::default(), q!(Self), Form::Contract, Place::Contract)
        }
        Head::Module { vis, ident } => {
            let vis = vis.to_token_stream();
            (ident.clone(), vis, Generics::default(), q!(Self), Form::Module, Place::Module)
        }
    };
    let word = name.to_string();
    let word = word.trim_start_matches("r#");
    let scope = Scope { place, self_ty, parameters: types::parameters(&generics) };
    let service = Service {
        krate: q!(::micro),
        form,
        generics,
        name: options::snake(word),
        version: 1,
        secure: false,
        manual: false,
        registered: true,
        client: ident(&format!("{}Client", options::pascal(word))),
        client_vis,
        emits: Vec::new(),
        expects: Vec::new(),
        interceptors: Vec::new(),
        docs: attributes(&block.attrs, &["doc"]),
        cfgs: attributes(&block.attrs, &["cfg"]),
        handlers: Vec::new(),
        subscriptions: Vec::new(),
        init: None,
        ident: name,
    };
    (service, scope)
}

/// Takes the helper attributes of one function and reads it; whether it is a public handler.
fn function_of(
    function: &mut Function,
    scope: &Scope,
    service: &mut Service,
    diag: &mut Diag,
) -> bool {
    let mut helpers = take_helpers(function, diag);
    if helpers.len() > 1 {
        let name = &function.sig.ident;
        let text = format!("`{name}` can be one of `#[handler]`, `#[subscribe]` and `#[init]`");
        diag.on(&helpers[1].1, text);
    }
    let (role, attribute) = match helpers.drain(..).next() {
        Some((role, attribute)) => (role, Some(attribute)),
        None if scope.place == Place::Contract => ("handler", None),
        None => return false,
    };
    let attrs =
        q!(#[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]);
    function.attrs.push(syn::parse_quote!(#attrs));
    if let Some(problem) = misplaced(role, scope.place) {
        diag.on(&attribute, problem);
        return false;
    }
    // A trait's impl has no room for functions of its own: they move to an impl block beside it.
    function.moved = scope.place == Place::Implements;
    let args = attribute.as_ref().map(|attr| Args::of(attr, diag)).unwrap_or_default();
    match role {
        "handler" => {
            let handler = handler::read(function, args, scope, service, diag);
            service.handlers.push(handler);
            matches!(function.vis, Visibility::Public(_))
        }
        "subscribe" => {
            let subscription = events::read(function, args, scope, diag);
            service.subscriptions.extend(subscription);
            false
        }
        _ => {
            init::read(function, args, attribute, service, diag);
            false
        }
    }
}

fn misplaced(role: &str, place: Place) -> Option<&'static str> {
    match (role, place) {
        ("handler", Place::Implements) => Some(
            "`#[handler]` belongs on the contract: `impl .. for ..` supplies only the bodies of its \
             handlers",
        ),
        ("subscribe", Place::Contract) => Some(
            "what a service listens to is no part of what clients call: put `#[subscribe]` into \
             `#[service] impl .. for ..`",
        ),
        ("init", Place::Contract) => Some(
            "how a service is made is no part of what clients call: put `#[init]` into \
             `#[service] impl .. for ..`",
        ),
        ("init", Place::Module) => Some(
            "the functions of a module share no state: use `#[service] impl` on a type to construct",
        ),
        _ => None,
    }
}

/// Removes the helper attributes, and reports what was probably meant to be one.
fn take_helpers(function: &mut Function, diag: &mut Diag) -> Vec<(&'static str, Attribute)> {
    let mut taken = Vec::new();
    function.attrs.retain(|attr| {
        if let Some(role) = helper(attr.path()) {
            taken.push((role, attr.clone()));
            return false;
        }
        if let Some((word, near)) = misspelt_helper(attr) {
            diag.on(attr.path(), format!("unknown attribute `{word}`; did you mean `{near}`?"));
            return false;
        }
        if let Some(word) = hidden_helper(attr) {
            let text = format!(
                "`#[{word}]` cannot be hidden in `cfg_attr`: the macro runs before it is evaluated\n  \
                 help: put `#[cfg(..)]` on the function beside `#[{word}]`"
            );
            diag.at(word.span(), text);
            return false;
        }
        true
    });
    taken
}

/// `handler` or `micro::handler`; the facade may have any name.
fn helper(path: &Path) -> Option<&'static str> {
    let last = types::last(path).filter(|_| path.segments.len() <= 2)?;
    HELPERS.iter().copied().find(|helper| last == helper)
}

fn misspelt_helper(attr: &Attribute) -> Option<(Ident, &'static str)> {
    let word = attr.path().get_ident()?;
    let near = nearest(&word.to_string(), HELPERS.iter().copied())?;
    (word != near && word != "inline").then(|| (word.clone(), near))
}

fn hidden_helper(attr: &Attribute) -> Option<Ident> {
    if !attr.path().is_ident("cfg_attr") {
        return None;
    }
    let words: Vec<String> = HELPERS.iter().map(ToString::to_string).collect();
    types::mentions(attr.meta.to_token_stream(), &words)
}

/// The attributes with one of these names.
fn attributes(attrs: &[Attribute], names: &[&str]) -> Vec<Attribute> {
    let wanted = |attr: &&Attribute| names.iter().any(|name| attr.path().is_ident(name));
    attrs.iter().filter(wanted).cloned().collect()
}

/// Where all of a type is, as far as stable Rust can say: its first token.
fn start(tokens: &impl ToTokens) -> Span {
    syn::spanned::Spanned::span(tokens)
}
