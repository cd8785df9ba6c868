//! The server: dispatch from an index straight to the user's function, and the submission to the app.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Path, Type};

use super::{codec, descriptor, quiet};
use crate::model::{Fallible, Form, Handler, Output, Param, Receiver, Role, Service, Subscription};
use crate::parse::types::unraw;
use crate::span;

/// `impl Serve` of a type or module, in a scope of its own.
pub(super) fn server(service: &Service) -> TokenStream {
    let (private, quiet) = (service.private(), quiet(&service.cfgs));
    let (ty, marker) = match &service.form {
        Form::Inherent(ty) => (ty.to_token_stream(), q!()),
        _ => (q!(Service), module_type(service, &private)),
    };
    let functions = match &service.form {
        Form::Module => q!(self),
        _ => q!(Self),
    };
    let descriptor = descriptor::of(service);
    let this = q!(<Self as #private::Serve<__Contract>>::DESCRIPTOR);
    let (dispatch, deliver) =
        (dispatch(service, &functions, &this), deliver(service, &functions, &this));
    let build = build(service, &ty);
    let (params, bounds) = (service.generics.split_for_impl().0, bounds(service, &ty));
    let submit = submit(service, &ty);
    q! {
        #marker
        #quiet
        const _: () = {
            pub enum __Contract {}
            #[automatically_derived]
            impl #params #private::Serve<__Contract> for #ty #bounds {
                const DESCRIPTOR: &'static #private::ServiceDescriptor = #descriptor;
                #build
                fn dispatch(
                    self: #private::Arc<Self>,
                    method: #private::std::primitive::u16,
                    mut call: #private::Incoming,
                ) -> #private::BoxFuture<'static, #private::Outcome> {
                    #dispatch
                }
                #deliver
            }
            #submit
        };
    }
}

/// The constant in `impl Contract for Type` through which the server is found when it is listed as
/// `Type as Contract`. Its value holds `impl Serve`, whose marker tells several contracts of one type apart.
pub(super) fn served(service: &Service, contract: &Path, ty: &Type) -> TokenStream {
    let (private, named) = (service.private(), q!(#ty));
    let (params, bounds) = (service.generics.split_for_impl().0, bounds(service, &named));
    let (contract, submit) = (contract.to_token_stream(), submit(service, &named));
    let descriptor = descriptor::of_server(service, &contract);
    let build = build(service, &named);
    let this = q!(<Self as #private::Serve<__Contract>>::DESCRIPTOR);
    let (deliver, quiet) = (deliver(service, &q!(Self), &this), quiet(&[]));
    q! {
        #quiet
        #[doc(hidden)]
        const __MICRO_SERVED: #private::Option<#private::Registration> = {
            pub enum __Contract {}
            #[automatically_derived]
            impl #params #private::Serve<__Contract> for #ty #bounds {
                const DESCRIPTOR: &'static #private::ServiceDescriptor = #descriptor;
                #build
                fn dispatch(
                    self: #private::Arc<Self>,
                    method: #private::std::primitive::u16,
                    call: #private::Incoming,
                ) -> #private::BoxFuture<'static, #private::Outcome> {
                    <Self as #contract>::__micro_dispatch(self, method, call)
                }
                #deliver
            }
            #submit
            #private::Option::Some(#private::register::<Self, __Contract>())
        };
    }
}

/// The bounds of a service's impl blocks. That it can be shared is assumed inside of them and checked where
/// the service is submitted: the lifetime keeps rustc from looking at a bound without parameters right
/// here, and from reporting whatever follows from it.
pub(super) fn bounds(service: &Service, ty: &TokenStream) -> TokenStream {
    let private = service.private();
    match &service.generics.where_clause {
        written if service.is_generic() => q!(#written),
        Some(written) => {
            let predicates = &written.predicates;
            q!(where for<'micro> #ty: #private::Shared, #predicates)
        }
        None => q!(where for<'micro> #ty: #private::Shared),
    }
}

/// Hands the service to every program that links it, or at least checks that it can be shared.
fn submit(service: &Service, ty: &TokenStream) -> TokenStream {
    let private = service.private();
    if service.is_generic() {
        q!()
    } else if service.registered && !service.manual {
        q!(#private::inventory::submit! { #private::register::<#ty, __Contract>() })
    } else {
        q!(const _: () = #private::assert_shared::<#ty>();)
    }
}

/// What stands for a module where a type or a value is wanted.
pub(super) fn module_type(service: &Service, private: &TokenStream) -> TokenStream {
    let docs = format!("The service `{}` as a value, to hand it to an app.", service.name);
    q! {
        #[doc = #docs]
        #[derive(#private::std::fmt::Debug, #private::std::default::Default)]
        #[allow(dead_code, missing_copy_implementations, unnameable_types, unreachable_pub)]
        pub struct Service;
    }
}

fn build(service: &Service, ty: &TokenStream) -> TokenStream {
    let (private, name) = (service.private(), &service.name);
    let body = match &service.init {
        _ if service.manual => q!(#private::manual::<Self>(#name)),
        None if matches!(service.form, Form::Module) => q!(#private::StdResult::Ok(Service)),
        None => q!(#private::constructor::<#ty>()(from).await),
        Some(init) => {
            let args = init.args.iter().map(|ty| q!(#private::injector::<#ty>()(from).await?));
            let made = span::invoke(&q!(Self), &init.ident, q!(#(#args),*));
            let made = if init.is_async { q!(#made.await) } else { made };
            let made = if init.fallible { q!(#made?) } else { made };
            q!(#private::StdResult::Ok(#made))
        }
    };
    q!(async fn build(from: &#private::Injector) -> #private::Result<Self> { #body })
}

/// From a handler's index to its function: a box for each call, as large as its own handler needs.
pub(super) fn dispatch(
    service: &Service,
    functions: &TokenStream,
    descriptor: &TokenStream,
) -> TokenStream {
    let private = service.private();
    let arms = service.handlers.iter().map(|handler| Arm {
        cfgs: &handler.cfgs,
        index: q!(#private::check::method_index),
        name: handler.name.clone(),
        body: handle(handler, functions, &private),
    });
    select(&private, &q!(method), descriptor, arms.collect())
}

fn deliver(service: &Service, functions: &TokenStream, descriptor: &TokenStream) -> TokenStream {
    let private = service.private();
    let arms = service.subscriptions.iter().map(|subscription| Arm {
        cfgs: &subscription.cfgs,
        index: q!(#private::check::subscription_index),
        name: unraw(&subscription.ident),
        body: receive(subscription, functions, &private),
    });
    let body = select(&private, &q!(subscription), descriptor, arms.collect());
    q! {
        fn deliver(
            self: #private::Arc<Self>,
            subscription: #private::std::primitive::u16,
            call: #private::Incoming,
        ) -> #private::BoxFuture<'static, #private::Outcome> {
            #body
        }
    }
}

struct Arm<'a> {
    cfgs: &'a [Attribute],
    index: TokenStream,
    name: String,
    body: TokenStream,
}

/// A `match` on the index. Where a `cfg` may take arms away the indices move, so that they are looked up
/// in the descriptor, which moved with them.
fn select(
    private: &TokenStream,
    index: &TokenStream,
    descriptor: &TokenStream,
    arms: Vec<Arm<'_>>,
) -> TokenStream {
    if arms.iter().any(|arm| !arm.cfgs.is_empty()) {
        let arms = arms.iter().map(|Arm { cfgs, index: find, name, body }| {
            q! {
                #(#cfgs)*
                if #index == const { #find(#descriptor, #name) } {
                    return #private::run(async move { #body });
                }
            }
        });
        return q!(#(#arms)* #private::run(async move { #private::no_method(&call) }));
    }
    let arms = arms.iter().zip(0u16..).map(|(arm, index)| {
        let body = &arm.body;
        q!(#index => #private::run(async move { #body }),)
    });
    q! {
        match #index {
            #(#arms)*
            _ => #private::run(async move { #private::no_method(&call) }),
        }
    }
}

/// One call: takes the streams, decodes, runs the user's function, encodes.
fn handle(handler: &Handler, functions: &TokenStream, private: &TokenStream) -> TokenStream {
    let streams = streams(handler, private);
    let decode = decode(handler, private);
    let mut wire = 0..;
    let single = handler.wire().len() == 1;
    let args = handler.params.iter().map(|param| match param.role {
        Role::Context => lent(param, private),
        Role::Inbound => q!(inbound),
        Role::Outbound => q!(outbound),
        Role::Wire if single => q!(request),
        Role::Wire => argument(wire.next().unwrap_or_default()).to_token_stream(),
    });
    let call = invoke(functions, &handler.ident, handler.receiver, q!(#(#args),*), private);
    let required = span::call(&q!(#private::require_send), call.clone(), handler.ident.span());
    let error = error(&handler.error(private), private);
    let encode = super::reply_codec(handler, private, "encode");
    let finish = match &handler.output {
        Output::Stream { items, opening, .. } => {
            let stream = if handler.is_async { q!(#required.await) } else { call };
            let opened = |result: &Fallible| {
                let error = self::error(&result.err(private), private);
                q!(#private::opened(#error, call.encoding, #stream)?)
            };
            let stream = opening.as_deref().map(opened).unwrap_or(stream);
            let stream = span::call(&q!(#private::require_stream), stream, handler.ident.span());
            match items {
                None => q!(#private::forward(#stream, outbound).await),
                Some(_) => {
                    q!(#private::try_forward(#stream, outbound, #error, call.encoding).await)
                }
            }
        }
        output => {
            let result = match output {
                Output::Plain(_) => q!(#private::infallible(#required.await)),
                _ => q!(#required.await),
            };
            match handler.outbound() {
                Some(_) => q!(#private::done(#error, call.encoding, #result)),
                None => q!(#private::reply(#encode, #error, call.encoding, #result)),
            }
        }
    };
    q!(#streams #decode #finish)
}

/// Before the request is decoded: a stream that is dropped tells the other side at once.
fn streams(handler: &Handler, private: &TokenStream) -> TokenStream {
    let inbound = handler.inbound().map(|item| {
        let decode = codec(private, item, "decode");
        q!(let inbound = #private::inbound::<#item>(#decode, &mut call)?;)
    });
    let outbound = handler.outbound().map(|item| {
        let encode = codec(private, item, "encode");
        q!(let outbound = #private::outbound::<#item>(#encode, &mut call)?;)
    });
    q!(#inbound #outbound)
}

fn decode(handler: &Handler, private: &TokenStream) -> TokenStream {
    let (wire, request) = (handler.wire(), handler.request());
    match wire.len() {
        0 => q!(),
        1 => {
            let decode = codec(private, &request, "decode");
            q!(let request = #private::request(#decode, call.encoding, call.body)?;)
        }
        count => {
            let (values, types) = ((0..count).map(argument), super::arguments(handler, private));
            let names = wire.iter().map(|param| unraw(&param.name));
            q! {
                let (#(#values),*) = #private::arguments(
                    const { #private::args::<#types>().decode },
                    &[#(#names),*],
                    call.encoding,
                    call.body,
                )?;
            }
        }
    }
}

fn argument(index: usize) -> Ident {
    span::ident(&format!("argument{index}"))
}

fn lent(param: &Param, private: &TokenStream) -> TokenStream {
    let ty = &param.ty;
    q!(#private::from_context::<#ty>()(&call.context)?)
}

fn error(ty: &TokenStream, private: &TokenStream) -> TokenStream {
    q!(const { #private::error::<#ty>().into_status })
}

/// One event.
fn receive(
    subscription: &Subscription,
    functions: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    let Subscription { ident, event, receiver, params, fallible, .. } = subscription;
    let args = params.iter().map(|param| match param.role {
        Role::Context => lent(param, private),
        _ => q!(event),
    });
    let call = invoke(functions, ident, *receiver, q!(#(#args),*), private);
    let required = span::call(&q!(#private::require_send), call, ident.span());
    let (error, result) = match fallible {
        Some(result) => (result.err(private), q!(#required.await)),
        None => (q!(#private::Infallible), q!(#private::infallible(#required.await))),
    };
    let error = self::error(&error, private);
    q! {
        let event = #private::request(
            const { #private::event::<#event>().codec.decode },
            call.encoding,
            call.body,
        )?;
        #private::done(#error, call.encoding, #result)
    }
}

fn invoke(
    functions: &TokenStream,
    ident: &Ident,
    receiver: Receiver,
    args: TokenStream,
    private: &TokenStream,
) -> TokenStream {
    match receiver {
        Receiver::None => span::call(&q!(#functions::#ident), args, ident.span()),
        Receiver::Reference => span::invoke(functions, ident, q!(&*self, #args)),
        Receiver::Arc => {
            let this = q!(#private::Arc::clone(&self));
            span::invoke(functions, ident, q!(#this, #args))
        }
    }
}
