//! What only the compiler's constant evaluation can see, each check anchored at the token it is about.

use proc_macro2::{Ident, TokenStream};
use syn::spanned::Spanned;

use super::descriptor;
use crate::model::{Filter, Form, Handler, Interceptor, Output, Service, Subscription};
use crate::parse::types::{self, unraw};
use crate::span::anchor;

/// All checks of a service.
pub(super) fn all(service: &Service) -> TokenStream {
    let private = service.private();
    let mut checks: Vec<TokenStream> = Vec::new();
    for handler in &service.handlers {
        let cfgs = &handler.cfgs;
        let found = aliased_result(handler, &private).into_iter();
        let found = found.chain(path_parameters(handler, &private));
        checks.extend(found.map(|check| q!(#(#cfgs)* const _: () = #check;)));
    }
    for subscription in &service.subscriptions {
        let cfgs = &subscription.cfgs;
        let found = topic(subscription, &private);
        checks.extend(found.map(|check| q!(#(#cfgs)* const _: () = #check;)));
    }
    let found = order(service, &private).into_iter().chain(filters(service, &private));
    checks.extend(found.map(|check| q!(const _: () = #check;)));
    if checks.is_empty() {
        return q!();
    }
    let quiet = super::quiet(&service.cfgs);
    q! {
        #quiet
        const _: () = {
            use #private::{NoSchema as _, NotResult as _};
            #(#checks)*
        };
    }
}

/// `type Res = Result<..>`: serde would send the `Result` itself, silently.
fn aliased_result(handler: &Handler, private: &TokenStream) -> Option<TokenStream> {
    let Output::Plain(ty) = &handler.output else { return None };
    if types::is_unit(ty) {
        return None;
    }
    let name = unraw(&handler.ident);
    let args = q!(#private::Probe::<#ty>::IS_RESULT, #name);
    Some(anchor(&q!(#private::At), "not_result", args, ty.span()))
}

/// Path parameters are fields of the one argument. Several arguments were compared by name before.
fn path_parameters<'a>(
    handler: &'a Handler,
    private: &'a TokenStream,
) -> impl Iterator<Item = TokenStream> + 'a {
    let wire = handler.wire();
    let argument = (wire.len() == 1).then(|| (unraw(&wire[0].name), wire[0].ty.clone()));
    let http = handler.http.as_ref();
    http.zip(argument).into_iter().flat_map(move |(http, (argument, ty))| {
        let (handler, count) = (unraw(&handler.ident), http.params.len());
        http.params.iter().map(move |param| {
            let shown = types::text(&ty);
            let args = q! {
                #handler, #param, #count, #argument, #shown, #private::Probe::<#ty>::TYPE
            };
            anchor(&q!(#private::At), "path_parameter", args, http.path.span())
        })
    })
}

/// A pattern matches the topic of the event that its function takes.
fn topic(subscription: &Subscription, private: &TokenStream) -> Option<TokenStream> {
    let Subscription { ident, event, pattern, .. } = subscription;
    let pattern = pattern.as_ref()?;
    let (name, shown) = (unraw(ident), types::text(event));
    let args = q!(#name, #pattern, #private::event::<#event>().topic, #shown);
    Some(anchor(&q!(#private::At), "topic", args, pattern.span()))
}

/// What an interceptor needs is provided before it runs.
fn order(service: &Service, private: &TokenStream) -> Vec<TokenStream> {
    let list = descriptor::interceptors(service);
    let name = match &service.form {
        // The contract knows the name, this attribute does not.
        Form::Implements(..) => unraw(&service.ident),
        _ => service.name.clone(),
    };
    let expects: Vec<String> = service.expects.iter().map(ToString::to_string).collect();
    let check = |(index, interceptor): (usize, &Interceptor)| {
        let args = q!(#name, #list, &[#(#expects),*], #index);
        anchor(&q!(#private::At), "interceptor", args, interceptor.path.span())
    };
    service.interceptors.iter().enumerate().map(check).collect()
}

/// The handlers that a filter names are those of the contract.
fn filters(service: &Service, private: &TokenStream) -> Vec<TokenStream> {
    let Form::Implements(contract, ty) = &service.form else { return Vec::new() };
    if service.is_generic() {
        return Vec::new();
    }
    let check = |word: &str, name: &Ident| {
        let handler = unraw(name);
        let args = q!(<#ty as #contract>::__MICRO, #word, #handler);
        anchor(&q!(#private::At), "filter", args, name.span())
    };
    let mut checks = Vec::new();
    for interceptor in &service.interceptors {
        match &interceptor.filter {
            Filter::All => {}
            Filter::Except(names) => checks.extend(names.iter().map(|name| check("except", name))),
            Filter::Only(names) => checks.extend(names.iter().map(|name| check("only", name))),
        }
    }
    checks
}
