//! Rules across the items of one service: names, HTTP bindings, filters of interceptors.

use std::collections::HashMap;

use proc_macro2::Ident;

use crate::diag::{Diag, list, nearest};
use crate::model::{Filter, Form, Handler, Service};
use crate::parse::item::{Block, Function, Piece};
use crate::span::location;

/// Checks a service that was read, and drops what is there twice.
pub(crate) fn service(service: &Service, block: &mut Block, diag: &mut Diag) {
    if diag.is_empty() && serves_nothing(service) {
        let text =
            "this `#[service]` has no `#[handler]` and no `#[subscribe]`: it would serve nothing";
        diag.at(block.keyword, text);
    }
    names(service, diag);
    http(service, diag);
    for interceptor in &service.interceptors {
        match &interceptor.filter {
            Filter::All => {}
            Filter::Except(names) => filter("except", names, service, diag),
            Filter::Only(names) => filter("only", names, service, diag),
        }
    }
    drop_twins(block);
}

fn serves_nothing(service: &Service) -> bool {
    !matches!(service.form, Form::Implements(..))
        && service.handlers.is_empty()
        && service.subscriptions.is_empty()
}

/// No two handlers have one name. Two with `cfg`s may: only one of them may be there.
fn names(service: &Service, diag: &mut Diag) {
    let mut seen: HashMap<&str, &Handler> = HashMap::new();
    for handler in &service.handlers {
        let Some(first) = seen.insert(&handler.name, handler) else { continue };
        if !handler.cfgs.is_empty() && !first.cfgs.is_empty() {
            continue;
        }
        let text = format!(
            "the route `{}.{}` is already taken by `{}`{}\n  help: give one of the two another \
             name: `#[handler(name = \"..\")]`",
            service.name,
            handler.name,
            first.ident,
            line(&first.ident)
        );
        diag.at(handler.name_span, text);
    }
}

/// No two handlers answer the same requests.
fn http(service: &Service, diag: &mut Diag) {
    let mut seen: HashMap<(&str, String), &Handler> = HashMap::new();
    for handler in &service.handlers {
        let Some(http) = &handler.http else { continue };
        let path = http.path.value();
        let key = (http.verb, anonymous(&path));
        let Some(first) = seen.get(&key).filter(|first| first.cfgs.is_empty()) else {
            seen.insert(key, handler);
            continue;
        };
        let text = format!(
            "`{} {path}` is already bound to `{}`{}",
            http.verb,
            first.ident,
            line(&first.ident)
        );
        diag.at(http.path.span(), text);
    }
}

/// The path without the names of its parameters, which do not tell requests apart.
fn anonymous(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "{}" } else { segment }.to_owned();
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The handlers that a filter names exist. What a contract has, only constant evaluation can see.
fn filter(word: &str, names: &[Ident], service: &Service, diag: &mut Diag) {
    if matches!(service.form, Form::Implements(..)) {
        return;
    }
    let known: Vec<String> = service.handlers.iter().map(|h| h.ident.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    for name in names.iter().filter(|name| known.iter().all(|known| name != known)) {
        let hint = match nearest(&name.to_string(), known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", list(&known)),
        };
        let service = &service.name;
        let text = format!("`{word}({name})`: service `{service}` has no handler `{name}`; {hint}");
        diag.at(name.span(), text);
    }
}

/// A second function of the same name is reported already; rustc need not say it again.
fn drop_twins(block: &mut Block) {
    let mut seen: Vec<Ident> = Vec::new();
    block.pieces.retain(|piece| {
        let Piece::Function(function) = piece else { return true };
        let Function { attrs, sig, .. } = &**function;
        let first =
            !seen.contains(&sig.ident) || attrs.iter().any(|attr| attr.path().is_ident("cfg"));
        seen.push(sig.ident.clone());
        first
    });
}

fn line(ident: &Ident) -> String {
    match location(ident.span()).1 {
        0 => String::new(),
        line => format!(" (line {line})"),
    }
}
