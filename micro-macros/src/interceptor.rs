//! `#[interceptor(..)]`: an async function that runs around calls.
//!
//! The function stays what it is. A type of the same name stands beside it: braces struct and function
//! live in two namespaces, so `intercept(trace)` names the type and `trace(call, next)` the function.

use proc_macro2::{Ident, TokenStream};
use syn::{FnArg, ReturnType};

use crate::diag::{Diag, suggest};
use crate::lower::pascal;
use crate::parse::args::{Arg, Args};
use crate::parse::item::Function;
use crate::span;

const PHASES: &[&str] =
    &["observe", "limit", "authenticate", "authorize", "quota", "validate", "user"];
const SHAPE: &str = "async fn name(call: Incoming, next: Next<'_>) -> Outcome";

/// Expands the attribute.
pub(crate) fn expand(attr: TokenStream, item: TokenStream, diag: &mut Diag) -> TokenStream {
    let mut args = Args::parse(attr, diag);
    let krate = crate::lower::facade(&mut args, diag);
    let Ok(function) = syn::parse2::<Function>(item.clone()) else {
        let text = format!("`#[interceptor]` goes on a function: `{SHAPE}`");
        diag.at(proc_macro2::Span::call_site(), text);
        return item;
    };
    if let Some(lead) = &args.lead {
        diag.at(lead.span(), "expected an option such as `phase = authorize`");
    }
    let mut phase = span::ident("User");
    let (mut provides, mut requires) = (Vec::new(), Vec::new());
    for arg in &args.entries {
        match arg.key.to_string().as_str() {
            "phase" => phase = phase_of(arg, diag).unwrap_or(phase),
            "provides" => provides = arg.names("provides(Principal)", diag),
            "requires" => requires = arg.names("requires(Principal)", diag),
            _ => arg.unknown("interceptor", &["phase", "provides", "requires", "crate"], diag),
        }
    }
    let callable = signature(&function, diag);
    let private = q!(#krate::__private);
    let Function { vis, sig, attrs, .. } = &function;
    let (ident, name) = (&sig.ident, crate::parse::types::unraw(&sig.ident));
    let docs = attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let cfgs: Vec<_> = attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect();
    let tags = |tags: &[Ident]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (provides, requires) = (tags(&provides), tags(&requires));
    let body = if callable {
        let at = |index: usize| sig.inputs.get(index).map_or(ident.span(), type_span);
        let here = q!(#private::Here);
        let call = span::anchor(&here, "call", q!(call), at(0));
        let next = span::anchor(&here, "next", q!(next), at(1));
        let run = span::call(&q!(#ident), q!(#call, #next), ident.span());
        span::call(&q!(#private::boxed), run, ident.span())
    } else {
        q!(next.run(call))
    };
    q! {
        #[allow(clippy::missing_errors_doc, clippy::needless_pass_by_value, clippy::unused_async)]
        #function
        #(#docs)*
        #[allow(non_camel_case_types, missing_debug_implementations, missing_copy_implementations)]
        #(#cfgs)*
        #vis struct #ident {}
        #(#cfgs)*
        #[automatically_derived]
        impl #private::Interceptor for #ident {
            fn descriptor(&self) -> #private::InterceptorDescriptor {
                <Self as #private::Declared>::DESCRIPTOR
            }
            fn intercept<'a>(
                &'a self,
                call: #private::Incoming,
                next: #private::Next<'a>,
            ) -> #private::BoxFuture<'a, #private::Outcome> {
                #body
            }
        }
        #(#cfgs)*
        #[automatically_derived]
        impl #private::Declared for #ident {
            const DESCRIPTOR: #private::InterceptorDescriptor = #private::InterceptorDescriptor {
                name: #name,
                phase: #private::Phase::#phase,
                provides: &[#(#provides),*],
                requires: &[#(#requires),*],
            };
            const INSTANCE: &'static dyn #private::Interceptor = &Self {};
        }
    }
}

fn type_span(input: &FnArg) -> proc_macro2::Span {
    match input {
        FnArg::Typed(input) => syn::spanned::Spanned::span(&input.ty),
        FnArg::Receiver(receiver) => receiver.self_token.span,
    }
}

fn phase_of(arg: &Arg, diag: &mut Diag) -> Option<Ident> {
    let word = arg.word("authorize", diag)?;
    let name = word.to_string();
    if PHASES.contains(&name.as_str()) {
        return Some(span::ident(&pascal(&name)));
    }
    diag.at(word.span(), format!("unknown phase `{name}`; {}", suggest(&name, PHASES)));
    None
}

/// Whether the function can be called as an interceptor is.
fn signature(function: &Function, diag: &mut Diag) -> bool {
    let sig = &function.sig;
    let before = diag.len();
    if let Some(receiver) = sig.receiver() {
        diag.on(
            receiver,
            "an interceptor is a function without `self`: keep its state in a static",
        );
    } else if sig.asyncness.is_none() {
        diag.at(sig.fn_token.span, format!("an interceptor is async: `{SHAPE}`"));
    } else if let Some(parameter) = crate::parse::types::parameters(&sig.generics).first() {
        let text = format!("an interceptor cannot be generic: nobody chooses `{parameter}`");
        diag.on(&sig.generics.params, text);
    } else if sig.inputs.len() != 2 || !sig.inputs.iter().all(|arg| matches!(arg, FnArg::Typed(_)))
    {
        diag.at(
            sig.ident.span(),
            format!("an interceptor takes a call and what comes next: `{SHAPE}`"),
        );
    } else if matches!(sig.output, ReturnType::Default) {
        diag.at(sig.ident.span(), format!("an interceptor answers the call: `{SHAPE}`"));
    }
    diag.len() == before
}
