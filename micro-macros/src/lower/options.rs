//! The options of `#[service(..)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{LitStr, Path, Token, parenthesized, token};

use super::Place;
use crate::diag::Diag;
use crate::model::{Filter, Interceptor, Service};
use crate::parse::args::{Arg, Args, Value};

const KEYS: &[&str] = &[
    "name",
    "version",
    "secure",
    "client",
    "emits",
    "expects",
    "intercept",
    "crate",
    "no_register",
    "manual",
];

/// Options that say what clients call; the contract decides them.
const OF_CONTRACT: &[&str] = &["name", "version", "secure", "client"];
/// Options that say how it is served.
const OF_SERVER: &[&str] = &["emits", "expects", "intercept", "no_register", "manual"];

/// Reads the options into the service.
pub(super) fn read(args: Args, place: Place, service: &mut Service, diag: &mut Diag) {
    if let Some(lead) = &args.lead {
        let text = format!("to name the service write `#[service(name = {})]`", lead.token());
        diag.at(lead.span(), text);
    }
    let written_name = args.entries.iter().any(|arg| arg.key == "name");
    for arg in &args.entries {
        let key = arg.key.to_string();
        let key = key.as_str();
        if place == Place::Implements && OF_CONTRACT.contains(&key) {
            let text = format!("`{key}` is decided by the contract: write it on the trait");
            diag.at(arg.key.span(), text);
        } else if place == Place::Contract && OF_SERVER.contains(&key) {
            let text = format!(
                "`{key}` is no part of what clients call: write it on `#[service] impl {} for ..`",
                service.ident
            );
            diag.at(arg.key.span(), text);
        } else {
            option(key, arg, service, diag);
        }
    }
    if !written_name && place != Place::Implements {
        let name = service.name.clone();
        check_word(&name, service.ident.span(), "service name", diag);
    }
}

fn option(key: &str, arg: &Arg, service: &mut Service, diag: &mut Diag) {
    match key {
        "name" => {
            if let Some(name) = arg.string(diag) {
                check_name(&name, "service name", diag);
                service.name = name.value();
            }
        }
        "version" => service.version = arg.number(diag).unwrap_or(1),
        "secure" => service.secure = arg.flag(diag),
        "manual" => service.manual = arg.flag(diag),
        "no_register" => service.registered = !arg.flag(diag),
        "client" => {
            if let Some(client) = arg.word("GreeterClient", diag) {
                service.client = client;
            }
        }
        "crate" => {
            if let Some(path) = arg.path(diag) {
                service.krate = path.to_token_stream();
            }
        }
        "emits" => service.emits = arg.types("emits(OrderCreated)", diag),
        "expects" => service.expects = arg.names("expects(Principal)", diag),
        "intercept" => service.interceptors = interceptors(arg, diag),
        _ => arg.unknown("service", KEYS, diag),
    }
}

/// The facade that an attribute's `crate = ..` names; other entries stay.
pub(crate) fn facade(args: &mut Args, diag: &mut Diag) -> TokenStream {
    let mut krate = q!(::micro);
    args.entries.retain(|arg| {
        if arg.key != "crate" {
            return true;
        }
        if let Some(path) = arg.path(diag) {
            krate = path.to_token_stream();
        }
        false
    });
    krate
}

/// `intercept(trace, auth(except(health)))`
fn interceptors(arg: &Arg, diag: &mut Diag) -> Vec<Interceptor> {
    let Value::List(tokens) = &arg.value else {
        return arg.not_a_list("intercept(trace, auth(except(health)))", diag);
    };
    let parser = |input: ParseStream<'_>| -> syn::Result<Vec<Interceptor>> {
        let mut found = Vec::new();
        while !input.is_empty() {
            found.push(interceptor(input)?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(found)
    };
    diag.take(parser.parse2(tokens.clone())).unwrap_or_default()
}

fn interceptor(input: ParseStream<'_>) -> syn::Result<Interceptor> {
    let path = input.call(Path::parse_mod_style)?;
    if !input.peek(token::Paren) {
        return Ok(Interceptor { path, filter: Filter::All });
    }
    let content;
    parenthesized!(content in input);
    let word: Ident = content.parse()?;
    if word != "only" && word != "except" {
        let text = format!("expected `only(..)` or `except(..)`, found `{word}`");
        return Err(syn::Error::new(word.span(), text));
    }
    let names;
    parenthesized!(names in content);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&names)?.into_iter().collect();
    let filter = if word == "only" { Filter::Only(names) } else { Filter::Except(names) };
    Ok(Interceptor { path, filter })
}

/// Checks a name that travels.
pub(crate) fn check_name(name: &LitStr, what: &str, diag: &mut Diag) {
    check_word(&name.value(), name.span(), what, diag);
}

pub(super) fn check_word(name: &str, at: Span, what: &str, diag: &mut Diag) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        let text =
            format!("{what} `{name}` is not 1 to 128 of `a-z 0-9 _ - .`; write `name = \"..\"`");
        diag.at(at, text);
    }
}

/// `PriceList` to `price_list`, `HTTPProxy` to `http_proxy`.
pub(crate) fn snake(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after_small = i > 0 && !letters[i - 1].is_uppercase() && letters[i - 1] != '_';
        let before_small = i > 0 && letters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_small || (before_small && letters[i - 1] != '_')) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// `price_list` to `PriceList`; `PriceList` stays.
pub(crate) fn pascal(word: &str) -> String {
    let mut pascal = String::new();
    for part in word.split('_') {
        let mut letters = part.chars();
        pascal.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        pascal.push_str(letters.as_str());
    }
    pascal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_become_service_names() {
        let cases = [
            ("Greeter", "greeter"),
            ("PriceList", "price_list"),
            ("HTTPProxy", "http_proxy"),
            ("OrdersV2", "orders_v2"),
            ("price_list", "price_list"),
        ];
        for (ty, name) in cases {
            assert_eq!(snake(ty), name);
        }
        assert_eq!(pascal("price_list"), "PriceList");
        assert_eq!(pascal("HTTPProxy"), "HTTPProxy");
    }
}
