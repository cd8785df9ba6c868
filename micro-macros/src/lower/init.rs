//! `#[init]`: how a service is made.

use syn::{Attribute, FnArg, ReturnType, Type};

use crate::diag::Diag;
use crate::model::{Init, Service};
use crate::parse::args::Args;
use crate::parse::item::Function;
use crate::parse::types::{self, text};

/// Reads the constructor into the service.
pub(super) fn read(
    function: &Function,
    args: Args,
    attribute: Option<Attribute>,
    service: &mut Service,
    diag: &mut Diag,
) {
    let sig = &function.sig;
    let before = diag.len();
    if let Some(first) = &service.init {
        let text = format!("`{}` already makes the service; `#[init]` stands once", first.ident);
        diag.on(&attribute, text);
    }
    if service.manual {
        let text =
            "a service marked `manual` is handed to the app ready-made: remove one of the two";
        diag.on(&attribute, text);
    }
    for arg in &args.entries {
        diag.at(arg.key.span(), "`#[init]` takes no options");
    }
    if let Some(receiver) = sig.receiver() {
        diag.on(receiver, "`#[init]` makes the service, so there is no `self` yet");
    }
    if !sig.generics.params.is_empty() {
        diag.on(&sig.generics.params, "`#[init]` cannot be generic: nobody chooses the parameter");
    }
    let fallible = match &sig.output {
        ReturnType::Type(_, ty) => types::is_named(ty, "Result"),
        ReturnType::Default => {
            diag.at(sig.ident.span(), "`#[init]` returns `Self` or `Result<Self>`");
            false
        }
    };
    let mut types = Vec::new();
    for input in &sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        if let Type::Reference(reference) = types::peel(&input.ty) {
            let owned = text(&reference.elem);
            diag.on(&input.ty, format!("what is injected arrives by value: write `{owned}`"));
        }
        types.push((*input.ty).clone());
    }
    if diag.len() == before {
        let (ident, is_async) = (sig.ident.clone(), sig.asyncness.is_some());
        service.init = Some(Init { ident, is_async, fallible, args: types });
    }
}
