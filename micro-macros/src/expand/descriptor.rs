//! The descriptor: what the service is, as constant data.

use proc_macro2::{Span, TokenStream};

use crate::model::{Access, Filter, Form, Handler, Interceptor, Service, Subscription};
use crate::parse::docs;
use crate::parse::types::unraw;
use crate::span;

/// A reference to the descriptor.
pub(super) fn of(service: &Service) -> TokenStream {
    let private = service.private();
    let Service { name, version, .. } = service;
    let (type_name, docs) = (unraw(&service.ident), docs::text(&service.docs));
    let methods = service.handlers.iter().map(|handler| method(handler, &private));
    let own = own(service);
    q! {{
        use #private::NoSchema as _;
        &#private::ServiceDescriptor {
            name: #name,
            version: #version,
            type_name: #type_name,
            docs: #docs,
            methods: &[#(#methods),*],
            #own
        }
    }}
}

/// A reference to the descriptor of the server of a contract: the contract's, and what is the server's own.
pub(super) fn of_server(service: &Service, contract: &TokenStream) -> TokenStream {
    let (private, type_name) = (service.private(), unraw(&service.ident));
    let own = own(service);
    q! {{
        use #private::NoSchema as _;
        &#private::ServiceDescriptor { type_name: #type_name, #own ..*<Self as #contract>::__MICRO }
    }}
}

/// The fields that no contract decides.
fn own(service: &Service) -> TokenStream {
    let private = service.private();
    let subscriptions = service.subscriptions.iter().map(|s| subscription(s, &private));
    let emits = service.emits.iter().map(|event| q!(#private::event::<#event>().topic));
    let (interceptors, location) =
        (interceptors(service), location(service.ident.span(), &private));
    q! {
        subscriptions: &[#(#subscriptions),*],
        emits: &[#(#emits),*],
        interceptors: #interceptors,
        location: #location,
    }
}

/// The interceptors around the handlers.
pub(super) fn interceptors(service: &Service) -> TokenStream {
    let private = service.private();
    let applied = service.interceptors.iter().map(|Interceptor { path, filter }| {
        let filter = match filter {
            Filter::All => q!(All),
            Filter::Except(handlers) => {
                let names = handlers.iter().map(|ident| wire_name(service, ident));
                q!(Except(&[#(#names),*]))
            }
            Filter::Only(handlers) => {
                let names = handlers.iter().map(|ident| wire_name(service, ident));
                q!(Only(&[#(#names),*]))
            }
        };
        // In parentheses, or a plain function would be taken for a constant.
        q!(#private::Applied::of::<(#path)>(#private::Filter::#filter))
    });
    q!(&[#(#applied),*])
}

/// Filters name functions, the wire names handlers. What a contract renames is not seen here, so that the
/// server of a contract writes the names on the wire.
fn wire_name(service: &Service, function: &proc_macro2::Ident) -> String {
    let handler = service.handlers.iter().find(|handler| handler.ident == *function);
    match (&service.form, handler) {
        (Form::Implements(..), _) | (_, None) => unraw(function),
        (_, Some(handler)) => handler.name.clone(),
    }
}

fn method(handler: &Handler, private: &TokenStream) -> TokenStream {
    let Handler { name, idempotent, cfgs, .. } = handler;
    let (kind, access) = (handler.kind().variant(), access(handler.access.as_ref()));
    let http = match &handler.http {
        Some(http) => {
            let (verb, path) = (http.verb, &http.path);
            q!(#private::Option::Some(#private::HttpBinding { verb: #verb, path: #path }))
        }
        None => q!(#private::Option::None),
    };
    let timeout = match handler.timeout {
        Some(millis) => q!(#private::Option::Some(#private::Duration::from_millis(#millis))),
        None => q!(#private::Option::None),
    };
    let docs = docs::text(&handler.docs);
    let (request, reply) = (request(handler, private), reply(handler, private));
    let location = location(handler.ident.span(), private);
    q! {
        #(#cfgs)*
        #private::MethodDescriptor {
            name: #name,
            kind: #private::Kind::#kind,
            idempotent: #idempotent,
            access: #private::Access::#access,
            http: #http,
            timeout: #timeout,
            docs: #docs,
            request: #request,
            reply: #reply,
            location: #location,
        }
    }
}

fn access(access: Option<&Access>) -> TokenStream {
    match access {
        None => q!(Domain),
        Some(Access::Public) => q!(Public),
        Some(Access::Authenticated) => q!(Authenticated),
        Some(Access::Roles(roles)) => q!(Roles(&[#(#roles),*])),
        Some(Access::Services(services)) => q!(Services(&[#(#services),*])),
    }
}

/// The schema of the request, or of one item of the request stream.
pub(super) fn request(handler: &Handler, private: &TokenStream) -> TokenStream {
    if let Some(item) = handler.inbound() {
        return q!(#private::Probe::<#item>::TYPE);
    }
    let wire = handler.wire();
    if wire.len() < 2 {
        let request = handler.request();
        return q!(#private::Probe::<#request>::TYPE);
    }
    let fields = wire.iter().map(|param| {
        let (name, ty) = (unraw(&param.name), &param.ty);
        q! {
            #private::schema::Field {
                name: #name,
                ty: || #private::Probe::<#ty>::TYPE,
                optional: false,
                docs: "",
            }
        }
    });
    q! {
        &#private::schema::Type {
            name: "",
            id: #private::Option::None,
            shape: #private::schema::Shape::Struct(&[#(#fields),*]),
        }
    }
}

/// The schema of the reply, or of one item of the reply stream.
pub(super) fn reply(handler: &Handler, private: &TokenStream) -> TokenStream {
    match handler.outbound() {
        Some(item) => q!(#private::Probe::<#item>::TYPE),
        None => {
            let reply = handler.reply(private);
            q!(#private::Probe::<#reply>::TYPE)
        }
    }
}

fn subscription(subscription: &Subscription, private: &TokenStream) -> TokenStream {
    let Subscription { ident, event, cfgs, broadcast, .. } = subscription;
    let topic = q!(#private::event::<#event>().topic);
    let pattern = match &subscription.pattern {
        Some(pattern) => q!(#pattern),
        None => topic.clone(),
    };
    let group = match &subscription.group {
        Some(group) => q!(#private::Option::Some(#group)),
        None => q!(#private::Option::None),
    };
    let (handler, location) = (unraw(ident), location(ident.span(), private));
    q! {
        #(#cfgs)*
        #private::SubscriptionDescriptor {
            handler: #handler,
            pattern: #pattern,
            topic: #topic,
            group: #group,
            broadcast: #broadcast,
            event: #private::Probe::<#event>::TYPE,
            location: #location,
        }
    }
}

/// Where an item is written. `line!()` would be where the attribute is.
pub(super) fn location(at: Span, private: &TokenStream) -> TokenStream {
    let (file, line) = span::location(at);
    q! {
        #private::Location {
            krate: #private::std::env!("CARGO_PKG_NAME"),
            file: #file,
            line: #line,
        }
    }
}
