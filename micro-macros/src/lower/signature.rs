//! The rules that every function of a service obeys: how it takes the service, and its parameters.
//!
//! By value means from the wire, by reference means from the call. The rule is purely syntactic, so that
//! no type alias can blur it.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::{FnArg, Pat, PatType, ReceiverKind, Signature, Type};

use super::{Place, Scope, start};
use crate::diag::Diag;
use crate::model::{Param, Receiver, Role};
use crate::parse::types::{self, text, unraw};

/// What the call lends; taking it by value is a common slip.
const LENT: &[&str] = &["Context", "Metadata", "Peer", "Principal"];

/// Checks everything but the parameters' types; the receiver if the function can be called.
pub(super) fn read(
    what: &str,
    sig: &Signature,
    must_be_async: bool,
    scope: &Scope,
    diag: &mut Diag,
) -> Option<Receiver> {
    let name = &sig.ident;
    let before = diag.len();
    if must_be_async && sig.asyncness.is_none() {
        let text = format!("{what} `{name}` must be async: write `async fn {name}`");
        diag.at(sig.fn_token.span, text);
    }
    if let syn::Safety::Unsafe(token) = &sig.safety {
        let text =
            format!("{what} `{name}` cannot be unsafe: no remote caller can keep a safety rule");
        diag.at(token.span, text);
    }
    if let Some(token) = &sig.constness {
        diag.at(token.span, format!("{what} `{name}` cannot be const"));
    }
    if let Some(abi) = &sig.abi {
        diag.at(abi.extern_token.span, format!("{what} `{name}` cannot have an ABI"));
    }
    if let Some(variadic) = &sig.variadic {
        diag.on(variadic, format!("{what} `{name}` cannot take variadic arguments"));
    }
    if let Some(parameter) = types::parameters(&sig.generics).first() {
        let text = format!(
            "{what} `{name}` cannot be generic: a remote caller cannot choose `{parameter}`\n  \
             help: write one {what} for each type, or put the parameter on the service's type"
        );
        diag.on(&sig.generics.params, text);
    }
    let receiver = receiver(what, sig, scope, diag);
    receiver.filter(|_| diag.len() == before)
}

fn receiver(what: &str, sig: &Signature, scope: &Scope, diag: &mut Diag) -> Option<Receiver> {
    let name = &sig.ident;
    let Some(receiver) = sig.receiver() else {
        if scope.place == Place::Module {
            return Some(Receiver::None);
        }
        diag.at(name.span(), format!("{what} `{name}` needs `&self` as its first parameter"));
        return None;
    };
    match &receiver.kind {
        _ if scope.place == Place::Module => {
            let text = format!("`{name}` is a function of a module and has no `self`");
            diag.on(receiver, text);
            None
        }
        ReceiverKind::Reference(_, _, Some(_)) => {
            let text = format!(
                "{what} `{name}` takes `&mut self`, but calls run at the same time on one shared \
                 service\n  help: take `&self` and keep what changes in a `Mutex`, an atomic or a channel"
            );
            diag.on(receiver, text);
            None
        }
        ReceiverKind::Reference(..) => Some(Receiver::Reference),
        ReceiverKind::Typed(_, ty) if types::is_named(ty, "Arc") => Some(Receiver::Arc),
        ReceiverKind::Typed(_, ty) if matches!(&**ty, Type::Reference(r) if r.mutability.is_none()) => {
            Some(Receiver::Reference)
        }
        _ => {
            diag.on(receiver, format!("{what} `{name}` borrows the service: write `&self`"));
            None
        }
    }
}

/// Reads the parameters; the second value says whether all are usable.
pub(super) fn params(
    what: &str,
    sig: &Signature,
    scope: &Scope,
    diag: &mut Diag,
) -> (Vec<Param>, bool) {
    let before = diag.len();
    let mut params: Vec<Param> = Vec::new();
    for (index, input) in sig.inputs.iter().enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let Some(name) = name(what, input, index, sig, diag) else { continue };
        let Some((role, ty)) = param_type(&name, &input.ty, scope, diag) else { continue };
        if params.iter().any(|other| other.name == name) {
            diag.at(
                name.span(),
                format!("two parameters travel under the name `{}`", unraw(&name)),
            );
            continue;
        }
        let twice = matches!(role, Role::Inbound | Role::Outbound)
            && params.iter().any(|other| other.role == role);
        if twice {
            let way = if role == Role::Inbound { "incoming" } else { "outgoing" };
            diag.on(&input.ty, format!("a call carries one {way} stream"));
            continue;
        }
        params.push(Param { name, ty, role });
    }
    (params, diag.len() == before)
}

/// The name under which a parameter travels.
fn name(
    what: &str,
    input: &PatType,
    index: usize,
    sig: &Signature,
    diag: &mut Diag,
) -> Option<Ident> {
    let numbered = |span: Span| Ident::new(&format!("arg{index}"), span);
    match &*input.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
            let raw = pat.ident.to_string();
            if raw.starts_with("r#") {
                return Some(pat.ident.clone());
            }
            Some(match raw.trim_start_matches('_') {
                "" => numbered(pat.ident.span()),
                word => syn::parse_str::<Ident>(word).map_or_else(
                    // `_1` or `_fn`: what is left is no identifier.
                    |_| pat.ident.clone(),
                    |_| Ident::new(word, pat.ident.span()),
                ),
            })
        }
        Pat::Wild(wild) => Some(numbered(wild.underscore_token.span)),
        other => {
            let text = format!(
                "the parameters of {what} `{}` need plain names: callers send them by name",
                sig.ident
            );
            diag.on(other, text);
            None
        }
    }
}

/// Where the parameter's value comes from, and its type.
fn param_type(
    name: &Ident,
    written: &Type,
    scope: &Scope,
    diag: &mut Diag,
) -> Option<(Role, Type)> {
    let ty = named_type(written, scope, diag)?;
    match types::peel(&ty) {
        Type::Reference(reference) => {
            let fix = match types::peel(&reference.elem) {
                _ if is_stream(&reference.elem) => {
                    Some(format!("a stream is taken by value: `{name}: {}`", text(&reference.elem)))
                }
                _ if reference.mutability.is_some() => Some(
                    "`&mut` cannot be a parameter: the call's context is shared, and the request \
                     arrives by value"
                        .to_owned(),
                ),
                Type::Path(path) if path.path.is_ident("str") => {
                    Some(format!("`&str` cannot come over the wire; write `{name}: String`"))
                }
                Type::Slice(slice) => {
                    let item = text(&slice.elem);
                    Some(format!("a slice cannot come over the wire; write `{name}: Vec<{item}>`"))
                }
                _ => None,
            };
            if let Some(fix) = fix {
                diag.on(written, fix);
                return None;
            }
            Some((Role::Context, (*reference.elem).clone()))
        }
        Type::ImplTrait(_) => {
            diag.on(written, "`impl Trait` cannot come over the wire; name a concrete type");
            None
        }
        peeled => by_value(name, peeled, written, diag),
    }
}

fn by_value(name: &Ident, ty: &Type, written: &Type, diag: &mut Diag) -> Option<(Role, Type)> {
    for (word, role) in [("Streaming", Role::Inbound), ("Sink", Role::Outbound)] {
        let Some(items) = types::arguments(ty, word) else { continue };
        let Some(item) = items.into_iter().next() else {
            diag.on(written, format!("say what it carries: `{word}<T>`"));
            return None;
        };
        if types::is_named(&item, "Result") {
            let text = format!(
                "the items of a `{word}` are values: an error ends the stream, it is no item\n  \
                 help: write `{word}<T>`, and return the error from the handler"
            );
            diag.on(&item, text);
            return None;
        }
        return Some((role, item));
    }
    if let Some(lent) = LENT.iter().find(|lent| types::is_named(ty, lent)) {
        let path = text(ty);
        let text = format!(
            "take `{lent}` by reference: `{name}: &{path}`\n  \
             help: parameters taken by value are decoded from the request"
        );
        diag.on(written, text);
        return None;
    }
    if let Some([Type::Reference(reference)]) = types::arguments(ty, "Option").as_deref() {
        let lent = text(&reference.elem);
        let text = format!(
            "`Option<&{lent}>` cannot be a parameter\n  \
             help: take `ctx: &Context` and ask it, e.g. `ctx.principal()`"
        );
        diag.on(written, text);
        return None;
    }
    if let Some(at) = types::borrowed(ty.to_token_stream()) {
        let text = format!(
            "`{name}` borrows from the caller, which is another process\n  \
             help: use an owned type, such as `String` or `Vec<T>`"
        );
        diag.at(at, text);
        return None;
    }
    Some((Role::Wire, ty.clone()))
}

/// The type as it also reads outside of the impl; not every place knows what `Self` or `T` is.
pub(super) fn named_type(written: &Type, scope: &Scope, diag: &mut Diag) -> Option<Type> {
    let tokens = written.to_token_stream();
    if matches!(scope.place, Place::Contract | Place::Module)
        && let Some(word) = types::mentions(tokens.clone(), &["Self".to_owned()])
    {
        diag.at(word.span(), "`Self` is not known to the client; name a concrete type");
        return None;
    }
    let replaced = types::replace_self(tokens, &scope.self_ty);
    if let Some(word) = types::mentions(replaced.clone(), &scope.parameters) {
        let at = types::mentions(written.to_token_stream(), &scope.parameters)
            .map_or_else(|| start(written), |word| word.span());
        let text =
            format!("`{word}` differs from server to server; name a type that both sides know");
        diag.at(at, text);
        return None;
    }
    Some(syn::parse2(replaced).unwrap_or_else(|_| written.clone()))
}

fn is_stream(ty: &Type) -> bool {
    types::is_named(ty, "Streaming") || types::is_named(ty, "Sink")
}
