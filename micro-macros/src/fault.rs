//! `#[fault]`: an error of a contract, which arrives at the client as the type that it left as.

use proc_macro2::{Ident, TokenStream};

use crate::diag::{Diag, suggest};
use crate::lower::pascal;
use crate::message;
use crate::parse::args::Args;

/// The codes that a fault may travel under.
const CODES: &[&str] = &[
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Expands the attribute.
pub(crate) fn expand(attr: TokenStream, item: TokenStream, diag: &mut Diag) -> TokenStream {
    let mut args = Args::parse(attr, diag);
    let krate = crate::lower::facade(&mut args, diag);
    let Some(input) = message::parse(&item, diag) else { return item };
    if let Some(lead) = &args.lead {
        diag.at(lead.span(), "`#[fault]` takes a code: `#[fault(code = not_found)]`");
    }
    // Nothing about the network went wrong and repeating the call does not help.
    let mut code = Ident::new("FailedPrecondition", proc_macro2::Span::mixed_site());
    for arg in &args.entries {
        if arg.key != "code" {
            arg.unknown("fault", &["code", "crate"], diag);
            continue;
        }
        let Some(word) = arg.word("not_found", diag) else { continue };
        let name = word.to_string();
        if CODES.contains(&name.as_str()) {
            code = Ident::new(&pascal(&name), proc_macro2::Span::mixed_site());
        } else {
            diag.at(word.span(), format!("unknown code `{name}`; {}", suggest(&name, CODES)));
        }
    }
    let private = q!(#krate::__private);
    // The client's error shows the fault it carries.
    let debug = message::derived(&input.attrs, "Debug").is_none();
    let debug: Vec<_> = debug.then(|| q!(#private::std::fmt::Debug)).into_iter().collect();
    let message = message::derive(&input, &krate, &debug, diag);
    let (ident, name) = (&input.ident, input.ident.to_string());
    let bounded = message::bounded(&input, &q!(Self: #private::Wire + #private::std::fmt::Debug));
    let (generics, arguments, bounds) = bounded.split_for_impl();
    q! {
        #message
        #[automatically_derived]
        impl #generics #private::HandlerError for #ident #arguments #bounds {
            type Remote = #private::CallError<Self>;
            fn into_status(self, encoding: #private::Encoding) -> #private::Status {
                #private::into_status(#name, #private::Code::#code, &self, encoding)
            }
            fn from_status(status: #private::Status) -> Self::Remote {
                #private::from_status(#name, status)
            }
        }
    }
}
