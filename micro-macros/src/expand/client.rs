//! The typed client: one method and one route constant for each handler.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;

use super::{codec, quiet};
use crate::model::{Handler, Kind, Service};
use crate::parse::types::unraw;
use crate::span::{ident, mixed};

/// The client and all that is in it.
pub(super) fn client(service: &Service) -> TokenStream {
    let (private, client) = (service.private(), &service.client);
    let (shell, quiet) = (shell(service), quiet(&service.cfgs));
    let routes = service.handlers.iter().map(|handler| route(service, handler, &private));
    let methods = service.handlers.iter().map(|handler| method(service, handler, &private));
    q! {
        #shell
        #quiet
        #[automatically_derived]
        impl #client { #(#routes)* #(#methods)* }
    }
}

/// The struct and the traits that every client has. There is no constructor among its own functions, so
/// that no name is taken from the handlers.
pub(super) fn shell(service: &Service) -> TokenStream {
    let (private, client, vis) = (service.private(), &service.client, &service.client_vis);
    let (quiet, name, cfgs) = (quiet(&service.cfgs), &service.name, &service.cfgs);
    // The client of a module is named from outside.
    let vis = if vis.is_empty() { q!(pub(super)) } else { q!(#vis) };
    let vis = match &service.form {
        crate::model::Form::Module => q!(pub),
        crate::model::Form::Contract => service.client_vis.clone(),
        _ => vis,
    };
    let docs = format!("Typed client of the service `{name}`.");
    let from = q!(<Self as #private::std::convert::From<#private::Channel>>::from);
    q! {
        #quiet
        #[doc = #docs]
        #[derive(#private::std::clone::Clone, #private::std::fmt::Debug)]
        #vis struct #client {
            channel: #private::Channel,
        }
        #(#cfgs)*
        #[automatically_derived]
        impl #private::std::convert::From<#private::Channel> for #client {
            fn from(channel: #private::Channel) -> Self {
                Self { channel }
            }
        }
        #(#cfgs)*
        #[automatically_derived]
        impl #private::ServiceClient for #client {
            const SERVICE: &'static #private::std::primitive::str = #name;
        }
        #(#cfgs)*
        #[automatically_derived]
        impl #private::Inject for #client {
            async fn inject(from: &#private::Injector) -> #private::Result<Self> {
                #private::StdResult::Ok(#from(#private::Injector::channel(from, #name)))
            }
        }
    }
}

/// `HELLO` of `hello`. It means the user's token, so it may stand where that stands.
pub(super) fn constant(handler: &Handler) -> Ident {
    let name = unraw(&handler.ident).to_uppercase();
    Ident::new(&name, mixed(handler.ident.span()))
}

/// Whether a call may be repeated, as a type.
pub(super) fn repeatability(handler: &Handler, private: &TokenStream) -> TokenStream {
    let word = ident(if handler.idempotent { "Idempotent" } else { "Once" });
    q!(#private::#word)
}

/// The docs of the handler, or a sentence.
pub(super) fn docs(service: &Service, handler: &Handler) -> TokenStream {
    let written = &handler.docs;
    if written.iter().any(|attr| attr.path().is_ident("doc")) {
        return q!(#(#written)*);
    }
    let text = format!("Calls `{}.{}`.", service.name, handler.name);
    q!(#[doc = #text] #(#written)*)
}

fn route(service: &Service, handler: &Handler, private: &TokenStream) -> TokenStream {
    let (constant, kind, cfgs) = (constant(handler), handler.kind().variant(), &handler.cfgs);
    let (request, reply) = (handler.request(), handler.reply(private));
    let (error, repeat) = (handler.error(private), repeatability(handler, private));
    let (service_name, name) = (&service.name, &handler.name);
    let wire = handler.wire();
    let encoder = if wire.len() > 1 {
        let names = wire.iter().map(|param| unraw(&param.name));
        let types = super::arguments(handler, private);
        q!(#private::Encoder::named(&[#(#names),*], #private::args::<#types>()))
    } else {
        let encode = codec(private, &request, "encode");
        q!(#private::Encoder::One(#encode))
    };
    let decode = super::reply_codec(handler, private, "decode");
    let docs = format!("The route `{service_name}.{name}`.");
    let takes = super::descriptor::request(handler, private);
    let gives = super::descriptor::reply(handler, private);
    q! {
        #(#cfgs)*
        #[doc = #docs]
        pub const #constant: #private::Route<#request, #reply, #error, #repeat> =
            #private::Route::new(
                #service_name,
                #name,
                #private::Kind::#kind,
                #encoder,
                #decode,
                {
                    // For types of which nothing is known.
                    use #private::NoSchema as _;
                    #private::schema::Contract { request: #takes, reply: #gives }
                },
            );
    }
}

fn method(service: &Service, handler: &Handler, private: &TokenStream) -> TokenStream {
    let (docs, constant, cfgs) = (docs(service, handler), constant(handler), &handler.cfgs);
    let wire = handler.wire();
    let names: Vec<_> = wire.iter().map(|param| &param.name).collect();
    let params = wire.iter().map(|param| {
        let (name, ty) = (&param.name, &param.ty);
        q!(#name: #ty)
    });
    let request = match &names[..] {
        [name] => name.to_token_stream(),
        names => q!((#(#names),*)),
    };
    let method = &handler.ident;
    let returned = returned(handler, private);
    let inbound = handler.inbound().map(|ty| codec(private, ty, "encode"));
    let outbound = handler.outbound().map(|ty| codec(private, ty, "decode"));
    let call = match handler.kind() {
        Kind::Unary => q!(#private::Call::new(&self.channel, Self::#constant, #request)),
        Kind::ServerStream => q! {
            #private::StreamCall::server(&self.channel, Self::#constant, &#request, #outbound)
        },
        Kind::ClientStream => q! {
            #private::StreamCall::client(&self.channel, Self::#constant, &#request, #inbound)
        },
        Kind::Bidi => q! {
            #private::StreamCall::bidi(&self.channel, Self::#constant, &#request, #inbound, #outbound)
        },
    };
    q! {
        #(#cfgs)*
        #docs
        #[inline]
        pub fn #method(&self, #(#params),*) -> #returned {
            #call
        }
    }
}

/// What a method of the client returns.
pub(super) fn returned(handler: &Handler, private: &TokenStream) -> TokenStream {
    let (request, reply) = (handler.request(), handler.reply(private));
    let (error, repeat) = (handler.error(private), repeatability(handler, private));
    let inbound = handler.inbound().map(|ty| q!(#private::Sink<#ty>));
    let outbound = handler.outbound().map(|ty| q!(#private::Streaming<#ty>));
    match handler.kind() {
        Kind::Unary => q!(#private::Call<'_, #request, #reply, #error, #repeat>),
        Kind::ServerStream => q!(#private::StreamCall<'_, #outbound>),
        Kind::ClientStream => {
            q!(#private::StreamCall<'_, (#inbound, #private::Pending<#reply, #error>)>)
        }
        Kind::Bidi => q!(#private::StreamCall<'_, (#inbound, #outbound)>),
    }
}
