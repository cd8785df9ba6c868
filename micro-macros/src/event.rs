//! `#[event("topic")]`: a message that names its topic.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Data, DeriveInput, Expr, LitStr, Member};

use crate::diag::{Diag, nearest};
use crate::message;
use crate::parse::args::{Arg, Args, Value};
use crate::span;

/// Expands the attribute.
pub(crate) fn expand(attr: TokenStream, item: TokenStream, diag: &mut Diag) -> TokenStream {
    let mut args = Args::parse(attr, diag);
    let krate = crate::lower::facade(&mut args, diag);
    let Some(input) = message::parse(&item, diag) else { return item };
    let topic = topic(args.lead.take(), &input, diag);
    let mut key = None;
    for arg in &args.entries {
        match arg.key.to_string().as_str() {
            "key" => key = key_of(arg, &input, diag),
            "topic" => {
                let text = "the topic stands alone: `#[event(\"orders.created\")]`";
                diag.at(arg.key.span(), text);
            }
            _ => arg.unknown("event", &["key", "crate"], diag),
        }
    }
    let message = message::derive(&input, &krate, &[], diag);
    let ident = &input.ident;
    let private = q!(#krate::__private);
    let bounded = message::bounded(&input, &q!(Self: #private::Wire));
    let (generics, arguments, bounds) = bounded.split_for_impl();
    let key = key.map(|key| {
        let at = syn::spanned::Spanned::span(&key);
        let field = span::anchor(&q!(#private::Here), "field", q!(&self.#key), at);
        let text = span::call(&q!(#private::event_key), field, at);
        q! {
            fn key(&self) -> #private::Option<#private::String> {
                #private::Option::Some(#text)
            }
        }
    });
    q! {
        #message
        #[automatically_derived]
        impl #generics #private::Event for #ident #arguments #bounds {
            const TOPIC: &'static #private::std::primitive::str = #topic;
            #key
        }
    }
}

fn topic(topic: Option<LitStr>, input: &DeriveInput, diag: &mut Diag) -> TokenStream {
    let Some(topic) = topic else {
        let text = format!("event `{}` needs a topic: `#[event(\"orders.created\")]`", input.ident);
        diag.at(input.ident.span(), text);
        return q!("");
    };
    if let Some(problem) = topic_problem(&topic.value(), false) {
        diag.at(topic.span(), format!("the topic `{}` {problem}", topic.value()));
    }
    topic.to_token_stream()
}

/// `key = field` or `key = field.inner`
fn key_of(arg: &Arg, input: &DeriveInput, diag: &mut Diag) -> Option<Expr> {
    let Value::Expr(expr) = &arg.value else {
        diag.at(arg.key.span(), "`key` names a field: `key = customer`");
        return None;
    };
    let Some(first) = first_field(expr) else {
        diag.on(expr, "`key` names a field: `key = customer`");
        return None;
    };
    let Data::Struct(data) = &input.data else {
        diag.at(arg.key.span(), "only a struct has a field to take the key from");
        return None;
    };
    let fields: Vec<String> =
        data.fields.iter().filter_map(|f| f.ident.as_ref().map(Ident::to_string)).collect();
    if let Member::Named(name) = &first
        && fields.iter().all(|field| name != field)
    {
        let known = fields.iter().map(String::as_str);
        let hint =
            nearest(&name.to_string(), known).map(|near| format!("; did you mean `{near}`?"));
        let hint = hint.unwrap_or_default();
        diag.at(name.span(), format!("event `{}` has no field `{name}`{hint}", input.ident));
        return None;
    }
    Some(expr.clone())
}

fn first_field(expr: &Expr) -> Option<Member> {
    match expr {
        Expr::Path(path) => path.path.get_ident().cloned().map(Member::Named),
        Expr::Field(field) => first_field(&field.base),
        Expr::Group(group) => first_field(&group.expr),
        _ => None,
    }
}

/// What is wrong with a topic, or with a pattern if `wild`: the rules of the wire.
pub(crate) fn topic_problem(text: &str, wild: bool) -> Option<&'static str> {
    const TOKENS: usize = 16;
    let tokens: Vec<&str> = text.split('.').collect();
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > 255 {
        return Some("is longer than 255 bytes");
    }
    if tokens.len() > TOKENS {
        return Some("has more than 16 tokens");
    }
    tokens.iter().enumerate().find_map(|(i, token)| match *token {
        "" => Some("has an empty token between its dots"),
        "*" | ">" if !wild => Some(
            "has a wildcard; an event has one topic, wildcards belong in `#[subscribe(\"..\")]`",
        ),
        ">" if i + 1 < tokens.len() => {
            Some("has `>` before its end; it stands for all that follow")
        }
        "*" | ">" => None,
        _ if token.contains(['*', '>']) => Some("has a wildcard that is no whole token: `*`, `>`"),
        _ if token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) => None,
        _ => Some("has a character that is none of `a-z A-Z 0-9 _ -`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_patterns_follow_the_rules_of_the_wire() {
        for good in ["orders.created", "a", "A-1._x"] {
            assert_eq!(topic_problem(good, false), None, "{good}");
        }
        for good in ["orders.*", ">", "orders.>", "*.created"] {
            assert_eq!(topic_problem(good, true), None, "{good}");
            assert!(topic_problem(good, false).is_some(), "{good}");
        }
        let long = ["a"; 17].join(".");
        for bad in ["", "a..b", ".a", "a.", "a b", "ä", "a.>.b", "a*", "a.b>", &long] {
            assert!(topic_problem(bad, true).is_some(), "{bad}");
        }
    }
}
