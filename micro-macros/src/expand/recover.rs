//! Stand-ins for the items of a service with mistakes: they type-check, and never run.

use proc_macro2::TokenStream;

use super::{client, quiet, server};
use crate::model::{Form, Handler, Role, Service};

/// The client with empty methods.
pub(super) fn client(service: &Service) -> TokenStream {
    let (shell, quiet, client) = (client::shell(service), quiet(&service.cfgs), &service.client);
    let mut seen = Vec::new();
    let methods = service.handlers.iter().filter(|handler| {
        let first = !seen.contains(&&handler.ident);
        seen.push(&handler.ident);
        first
    });
    let methods = methods.map(|handler| method(service, handler));
    q! {
        #shell
        #quiet
        impl #client { #(#methods)* }
    }
}

fn method(service: &Service, handler: &Handler) -> TokenStream {
    let (private, ident, cfgs) = (service.private(), &handler.ident, &handler.cfgs);
    let docs = client::docs(service, handler);
    let params = handler.params.iter().filter(|param| param.role == Role::Wire).map(|param| {
        let (name, ty) = (&param.name, &param.ty);
        q!(#name: #ty)
    });
    let returned = if handler.usable {
        client::returned(handler, &private)
    } else {
        let repeat = client::repeatability(handler, &private);
        q!(#private::Call<'_, (), (), #private::Infallible, #repeat>)
    };
    q!(#(#cfgs)* #docs pub fn #ident(&self, #(#params),*) -> #returned { loop {} })
}

/// An `impl Serve` without handlers.
pub(super) fn server(service: &Service) -> TokenStream {
    let (private, quiet) = (service.private(), quiet(&service.cfgs));
    let descriptor = descriptor(service);
    let (params, _, bounds) = service.generics.split_for_impl();
    let (ty, marker) = match &service.form {
        Form::Inherent(ty) => (q!(#ty), q!()),
        _ => (q!(Service), server::module_type(service, &private)),
    };
    q! {
        #marker
        #quiet
        const _: () = {
            pub enum __Contract {}
            impl #params #private::Serve<__Contract> for #ty #bounds {
                const DESCRIPTOR: &'static #private::ServiceDescriptor = #descriptor;
                async fn build(_: &#private::Injector) -> #private::Result<Self> { loop {} }
                fn dispatch(
                    self: #private::Arc<Self>,
                    _: #private::std::primitive::u16,
                    _: #private::Incoming,
                ) -> #private::BoxFuture<'static, #private::Outcome> { loop {} }
                fn deliver(
                    self: #private::Arc<Self>,
                    _: #private::std::primitive::u16,
                    _: #private::Incoming,
                ) -> #private::BoxFuture<'static, #private::Outcome> { loop {} }
            }
        };
    }
}

/// The hidden items of a contract.
pub(super) fn contract_items(service: &Service) -> TokenStream {
    let (private, descriptor) = (service.private(), descriptor(service));
    q! {
        #[doc(hidden)]
        const __MICRO: &'static #private::ServiceDescriptor = #descriptor;
        #[doc(hidden)]
        const __MICRO_SERVED: #private::Option<#private::Registration> = #private::Option::None;
        #[doc(hidden)]
        fn __micro_dispatch(
            self: #private::Arc<Self>,
            _: #private::std::primitive::u16,
            _: #private::Incoming,
        ) -> #private::BoxFuture<'static, #private::Outcome> { loop {} }
    }
}

fn descriptor(service: &Service) -> TokenStream {
    let (private, name) = (service.private(), &service.name);
    let type_name = service.ident.to_string();
    let location = super::descriptor::location(service.ident.span(), &private);
    q! {
        &#private::ServiceDescriptor {
            name: #name,
            version: 1,
            type_name: #type_name,
            docs: "",
            methods: &[],
            subscriptions: &[],
            emits: &[],
            interceptors: &[],
            location: #location,
        }
    }
}
