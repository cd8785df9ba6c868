//! `#[handler(..)]`: its options, its reply and its HTTP binding.

use syn::{LitStr, ReturnType, Type, parse_quote};

use super::options::check_word;
use super::{Scope, attributes, check_name, signature};
use crate::diag::{Diag, nearest};
use crate::model::{Access, Fallible, Handler, Http, Output, Receiver, Role, Service};
use crate::parse::args::{Arg, Args};
use crate::parse::item::Function;
use crate::parse::types::{self, unraw};

const KEYS: &[&str] = &[
    "name",
    "idempotent",
    "public",
    "authenticated",
    "roles",
    "allow",
    "get",
    "post",
    "put",
    "delete",
    "patch",
    "timeout",
];

/// Arguments that a request holds; core implements the tuples up to here.
const MAX_ARGUMENTS: usize = 8;

/// Reads one handler.
pub(super) fn read(
    function: &Function,
    args: Args,
    scope: &Scope,
    service: &Service,
    diag: &mut Diag,
) -> Handler {
    let sig = &function.sig;
    let returns_stream = match &sig.output {
        ReturnType::Type(_, ty) => types::stream_item(ty).is_some(),
        ReturnType::Default => false,
    };
    let receiver = signature::read("handler", sig, !returns_stream, scope, diag);
    let (params, params_usable) = signature::params("handler", sig, scope, diag);
    let output = output(&sig.output, scope, diag);
    let usable = receiver.is_some() && params_usable && output.is_some();
    let mut handler = Handler {
        name: unraw(&sig.ident),
        name_span: sig.ident.span(),
        ident: sig.ident.clone(),
        docs: attributes(&function.attrs, &["doc", "deprecated"]),
        cfgs: attributes(&function.attrs, &["cfg"]),
        receiver: receiver.unwrap_or(Receiver::Reference),
        params,
        output: output.unwrap_or_else(|| Output::Plain(parse_quote!(()))),
        is_async: sig.asyncness.is_some(),
        idempotent: false,
        access: None,
        http: None,
        timeout: None,
        usable,
    };
    if let Some(lead) = &args.lead {
        let text = format!("to name the handler write `#[handler(name = {})]`", lead.token());
        diag.at(lead.span(), text);
    }
    for arg in &args.entries {
        option(arg, &mut handler, diag);
    }
    if args.entries.iter().all(|arg| arg.key != "name") {
        check_word(&handler.name, handler.name_span, "handler name", diag);
    }
    streams(function, &handler, diag);
    bound(&handler, diag);
    access(&handler, service, diag);
    handler
}

fn option(arg: &Arg, handler: &mut Handler, diag: &mut Diag) {
    let key = arg.key.to_string();
    match key.as_str() {
        "name" => {
            if let Some(name) = arg.string(diag) {
                check_name(&name, "handler name", diag);
                (handler.name, handler.name_span) = (name.value(), name.span());
            }
        }
        "idempotent" => handler.idempotent |= arg.flag(diag),
        "public" if arg.flag(diag) => set_access(Access::Public, arg, handler, diag),
        "authenticated" if arg.flag(diag) => set_access(Access::Authenticated, arg, handler, diag),
        "public" | "authenticated" => {}
        "roles" => {
            let roles = arg.strings("roles = [\"buyer\"]", diag);
            set_access(Access::Roles(roles), arg, handler, diag);
        }
        "allow" => {
            let services = arg.strings("allow(\"orders\")", diag);
            set_access(Access::Services(services), arg, handler, diag);
        }
        "timeout" => handler.timeout = arg.string(diag).and_then(|text| timeout(&text, diag)),
        "get" => set_http("GET", arg, handler, diag),
        "post" => set_http("POST", arg, handler, diag),
        "put" => set_http("PUT", arg, handler, diag),
        "delete" => set_http("DELETE", arg, handler, diag),
        "patch" => set_http("PATCH", arg, handler, diag),
        "service" => {
            let text = "`service` is for nothing here: the `#[service]` around the handler says it";
            diag.at(arg.key.span(), text);
        }
        _ => arg.unknown("handler", KEYS, diag),
    }
}

fn set_access(access: Access, arg: &Arg, handler: &mut Handler, diag: &mut Diag) {
    if handler.access.replace(access).is_some() {
        let text = "`public`, `authenticated`, `roles` and `allow` exclude each other";
        diag.at(arg.key.span(), text);
    }
}

fn set_http(verb: &'static str, arg: &Arg, handler: &mut Handler, diag: &mut Diag) {
    let Some(path) = arg.string(diag) else { return };
    if let Some(first) = &handler.http {
        let text = format!(
            "`{}` is already bound to `{} {}`; a handler has one HTTP binding",
            handler.ident,
            first.verb,
            first.path.value()
        );
        diag.at(arg.key.span(), text);
        return;
    }
    let params = path_params(&path, diag);
    handler.idempotent |= verb == "GET";
    handler.http = Some(Http { verb, path, params });
}

/// The names in braces.
fn path_params(path: &LitStr, diag: &mut Diag) -> Vec<String> {
    let text = path.value();
    let mut params: Vec<String> = Vec::new();
    let Some(inner) = text.strip_prefix('/') else {
        diag.at(path.span(), format!("an HTTP path begins with `/`: `\"/{text}\"`"));
        return params;
    };
    for segment in inner.split('/').filter(|_| !inner.is_empty()) {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if params.iter().any(|other| other == name) => {
                diag.at(path.span(), format!("path parameter `{{{name}}}` appears twice"));
            }
            Some(name) if is_word(name) => params.push(name.to_owned()),
            None if is_literal(segment) => {}
            _ => {
                let text = format!(
                    "malformed path segment `{segment}`: a segment is `{{name}}` or one or more of \
                     `a-z A-Z 0-9 - _ . ~`"
                );
                diag.at(path.span(), text);
            }
        }
    }
    params
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn is_literal(segment: &str) -> bool {
    !segment.is_empty()
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
}

/// Milliseconds of `250ms`, `5s`, `2m` or `1h`.
fn timeout(text: &LitStr, diag: &mut Diag) -> Option<u64> {
    const HOUR: u64 = 3_600_000;
    let value = text.value();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(HOUR),
        _ => None,
    };
    let problem = match (number.parse::<u64>(), factor) {
        (Ok(0), Some(_)) => "leaves no time at all",
        (Ok(number), Some(factor)) => match number.checked_mul(factor) {
            Some(millis) if millis <= HOUR => return Some(millis),
            _ => "is longer than `1h`, the longest that a call may take",
        },
        _ => "is no time; write a number and a unit: `250ms`, `5s`, `2m`, `1h`",
    };
    diag.at(text.span(), format!("`{value}` {problem}"));
    None
}

/// What the handler returns; nothing if that cannot be sent.
fn output(written: &ReturnType, scope: &Scope, diag: &mut Diag) -> Option<Output> {
    let ReturnType::Type(_, written) = written else {
        return Some(Output::Plain(parse_quote!(())));
    };
    let ty = signature::named_type(written, scope, diag)?;
    if let Some(output) = returned_stream(&ty) {
        return Some(output);
    }
    match types::peel(&ty) {
        Type::Reference(_) => {
            let text = "a reply goes to another process and must be owned; return an owned type";
            diag.on(written, text);
            None
        }
        Type::ImplTrait(_) => {
            let text = "a handler returns a type with a name, or `impl Stream<Item = T>`";
            diag.on(written, text);
            None
        }
        _ if types::is_named(&ty, "Result") => Some(Output::Fallible(Box::new(fallible(ty)))),
        _ => Some(Output::Plain(ty)),
    }
}

/// `impl Stream<Item = T>`, perhaps of `Result`s, perhaps inside of a `Result`.
fn returned_stream(ty: &Type) -> Option<Output> {
    let (item, opening) = match types::stream_item(ty) {
        Some(item) => (item, None),
        None => {
            let arguments = types::arguments(ty, "Result")?;
            let item = types::stream_item(arguments.first()?)?;
            // `impl Trait` cannot be named where the error's type is asked for.
            (item, Some(Box::new(fallible(types::with_argument(ty, parse_quote!(()))))))
        }
    };
    if !types::is_named(&item, "Result") {
        return Some(Output::Stream { item, items: None, opening });
    }
    let items = Box::new(fallible(item.clone()));
    let item = items.ok.clone().unwrap_or(item);
    Some(Output::Stream { item, items: Some(items), opening })
}

/// The parts of a `Result` that are spelled out.
pub(super) fn fallible(whole: Type) -> Fallible {
    let mut arguments = types::arguments(&whole, "Result").unwrap_or_default().into_iter();
    let (ok, err) = (arguments.next(), arguments.next());
    Fallible { whole, ok, err }
}

/// The rules about streams and the number of arguments.
fn streams(function: &Function, handler: &Handler, diag: &mut Diag) {
    let (name, output) = (&handler.ident, &function.sig.output);
    let has_sink = handler.params.iter().any(|param| param.role == Role::Outbound);
    let replies = match &handler.output {
        Output::Stream { .. } if has_sink => {
            let text =
                "this handler sends two streams: keep the `Sink` or the returned `impl Stream`";
            diag.on(output, text);
            false
        }
        Output::Stream { .. } => false,
        Output::Plain(ty) => !types::is_unit(ty),
        Output::Fallible(result) => result.ok.as_ref().is_some_and(|ok| !types::is_unit(ok)),
    };
    if has_sink && replies {
        let text =
            format!("handler `{name}` answers through its `Sink`: return `Result<()>` or nothing");
        diag.on(output, text);
    }
    let wire = handler.wire();
    if let Some(param) = wire.get(MAX_ARGUMENTS) {
        let text = format!(
            "handler `{name}` takes {} arguments from the wire; {MAX_ARGUMENTS} is the most\n  \
             help: put them into a struct marked `#[message]`",
            wire.len()
        );
        diag.at(param.name.span(), text);
    }
}

/// The rules about the HTTP binding.
fn bound(handler: &Handler, diag: &mut Diag) {
    let Some(Http { verb, path, params }) = &handler.http else { return };
    let name = &handler.ident;
    if handler.inbound().is_some() && matches!(*verb, "GET" | "DELETE") {
        let text = format!(
            "a {verb} request has no body, so `{name}` cannot take a `Streaming` here; use `post = ..`"
        );
        diag.at(path.span(), text);
    }
    let wire = handler.wire();
    if wire.len() == 1 || !handler.usable {
        return;
    }
    let names: Vec<String> = wire.iter().map(|param| unraw(&param.name)).collect();
    for param in params.iter().filter(|param| !names.contains(param)) {
        let hint = nearest(param, names.iter().map(String::as_str));
        let hint = match (hint, &names[..]) {
            (Some(near), _) => format!("\n  help: did you mean `{{{near}}}`?"),
            (None, []) => "\n  help: it takes nothing from the request".to_owned(),
            (None, names) => format!("\n  help: it takes `{}`", names.join("`, `")),
        };
        let text = format!("path parameter `{{{param}}}` is not a parameter of `{name}`{hint}");
        diag.at(path.span(), text);
    }
}

/// Deny by default: what outsiders reach says whom it lets in.
fn access(handler: &Handler, service: &Service, diag: &mut Diag) {
    if handler.access.is_some() {
        return;
    }
    let name = &handler.ident;
    if let Some(http) = &handler.http {
        let text = format!(
            "`{} {}` is open to the world, but `{name}` does not say who may call it\n  help: add \
             `public`, `authenticated`, `roles = [\"..\"]` or `allow(\"..\")`",
            http.verb,
            http.path.value()
        );
        diag.at(http.path.span(), text);
    } else if service.secure {
        let text = format!(
            "service `{}` is `secure`, but handler `{name}` does not say who may call it\n  help: add \
             `roles = [\"..\"]`, `authenticated`, `allow(\"..\")` or `public` to its `#[handler(..)]`",
            service.name
        );
        diag.at(name.span(), text);
    }
}
