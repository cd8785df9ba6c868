//! What a `#[service]` says: plain data between the user's tokens and the generated ones.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Generics, LitStr, Path, Type};

/// One service or contract.
pub(crate) struct Service {
    /// The facade: `::micro` unless given.
    pub(crate) krate: TokenStream,
    /// Which kind of item carries the attribute.
    pub(crate) form: Form,
    /// The type, trait or module.
    pub(crate) ident: Ident,
    /// The generics of the impl block.
    pub(crate) generics: Generics,
    /// The name on the wire.
    pub(crate) name: String,
    /// The version.
    pub(crate) version: u32,
    /// Whether every handler has to say who may call it.
    pub(crate) secure: bool,
    /// Whether the app is handed a ready value.
    pub(crate) manual: bool,
    /// Whether every program that links it serves it.
    pub(crate) registered: bool,
    /// The name of the client.
    pub(crate) client: Ident,
    /// The visibility of the client.
    pub(crate) client_vis: TokenStream,
    /// The events that it emits.
    pub(crate) emits: Vec<Type>,
    /// What the app's own interceptors provide.
    pub(crate) expects: Vec<Ident>,
    /// The interceptors around its handlers.
    pub(crate) interceptors: Vec<Interceptor>,
    /// The docs of the item.
    pub(crate) docs: Vec<Attribute>,
    /// The `cfg`s of the item.
    pub(crate) cfgs: Vec<Attribute>,
    /// The handlers, in the order of the source.
    pub(crate) handlers: Vec<Handler>,
    /// The subscriptions, in the order of the source.
    pub(crate) subscriptions: Vec<Subscription>,
    /// The constructor.
    pub(crate) init: Option<Init>,
}

/// Which kind of item carries the attribute.
pub(crate) enum Form {
    /// `impl Type`
    Inherent(Type),
    /// `trait Contract`
    Contract,
    /// `impl Contract for Type`
    Implements(Path, Type),
    /// `mod name { .. }`
    Module,
}

/// An interceptor as the service asks for it.
pub(crate) struct Interceptor {
    /// The interceptor.
    pub(crate) path: Path,
    /// Which handlers it runs around.
    pub(crate) filter: Filter,
}

/// Which handlers an interceptor runs around.
pub(crate) enum Filter {
    /// All.
    All,
    /// All but these.
    Except(Vec<Ident>),
    /// These.
    Only(Vec<Ident>),
}

/// One handler.
pub(crate) struct Handler {
    /// The function.
    pub(crate) ident: Ident,
    /// Its name on the wire.
    pub(crate) name: String,
    /// Where the name was written.
    pub(crate) name_span: Span,
    /// Doc comments and `#[deprecated]`.
    pub(crate) docs: Vec<Attribute>,
    /// Its `cfg`s.
    pub(crate) cfgs: Vec<Attribute>,
    /// How it takes the service.
    pub(crate) receiver: Receiver,
    /// Its parameters, in order.
    pub(crate) params: Vec<Param>,
    /// What it returns.
    pub(crate) output: Output,
    /// Whether it is `async`.
    pub(crate) is_async: bool,
    /// Whether it may run twice.
    pub(crate) idempotent: bool,
    /// Who may call it.
    pub(crate) access: Option<Access>,
    /// Where HTTP reaches it.
    pub(crate) http: Option<Http>,
    /// Its deadline in milliseconds.
    pub(crate) timeout: Option<u64>,
    /// Whether its signature can be called at all.
    pub(crate) usable: bool,
}

/// How a method takes the service.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Receiver {
    /// `self: Arc<Self>`
    Arc,
    /// Not at all: a function of a module.
    None,
    /// `&self`
    Reference,
}

/// One parameter.
pub(crate) struct Param {
    /// Its name without a leading underscore.
    pub(crate) name: Ident,
    /// The type; of streams the item, of what the call lends without the reference.
    pub(crate) ty: Type,
    /// Where the value comes from.
    pub(crate) role: Role,
}

/// Where the value of a parameter comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Borrowed from the call.
    Context,
    /// The stream that the caller sends.
    Inbound,
    /// The stream that the handler sends.
    Outbound,
    /// The request.
    Wire,
}

/// What a handler returns.
pub(crate) enum Output {
    /// A value.
    Plain(Type),
    /// `Result<T, E>`
    Fallible(Box<Fallible>),
    /// `impl Stream<Item = T>`, perhaps inside of a `Result`, perhaps of `Result`s.
    Stream {
        /// `T`
        item: Type,
        /// The `Result` of each item.
        items: Option<Box<Fallible>>,
        /// The `Result` around the stream.
        opening: Option<Box<Fallible>>,
    },
}

/// A `Result`.
pub(crate) struct Fallible {
    /// All of it, with a type that can be named.
    pub(crate) whole: Type,
    /// `T`, where it is spelled out.
    pub(crate) ok: Option<Type>,
    /// `E`, where it is spelled out.
    pub(crate) err: Option<Type>,
}

/// Who may call a handler.
pub(crate) enum Access {
    /// Anybody.
    Public,
    /// Any principal.
    Authenticated,
    /// Principals with a role.
    Roles(Vec<LitStr>),
    /// Some services.
    Services(Vec<LitStr>),
}

/// A binding to HTTP.
pub(crate) struct Http {
    /// `GET`, ..
    pub(crate) verb: &'static str,
    /// The path as written.
    pub(crate) path: LitStr,
    /// The names in braces.
    pub(crate) params: Vec<String>,
}

/// One subscription.
pub(crate) struct Subscription {
    /// The function.
    pub(crate) ident: Ident,
    /// The pattern, if it is not the event's own topic.
    pub(crate) pattern: Option<LitStr>,
    /// The group, if it is not the service's name.
    pub(crate) group: Option<LitStr>,
    /// Whether each instance gets each message.
    pub(crate) broadcast: bool,
    /// The event.
    pub(crate) event: Type,
    /// How it takes the service.
    pub(crate) receiver: Receiver,
    /// Its parameters, in order; the one from the wire is the event.
    pub(crate) params: Vec<Param>,
    /// `Result<()>`, unless it returns nothing.
    pub(crate) fallible: Option<Fallible>,
    /// Its `cfg`s.
    pub(crate) cfgs: Vec<Attribute>,
}

/// The constructor.
pub(crate) struct Init {
    /// The function.
    pub(crate) ident: Ident,
    /// Whether it is `async`.
    pub(crate) is_async: bool,
    /// Whether it returns a `Result`.
    pub(crate) fallible: bool,
    /// What it wants injected.
    pub(crate) args: Vec<Type>,
}

/// Which sides of a call stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Neither.
    Unary,
    /// The server.
    ServerStream,
    /// The client.
    ClientStream,
    /// Both.
    Bidi,
}

impl Service {
    /// The only path that generated code names.
    pub(crate) fn private(&self) -> TokenStream {
        let krate = &self.krate;
        q!(#krate::__private)
    }

    /// Whether the item has type or constant parameters.
    pub(crate) fn is_generic(&self) -> bool {
        !crate::parse::types::parameters(&self.generics).is_empty()
    }
}

impl Handler {
    /// The parameters that make up the request.
    pub(crate) fn wire(&self) -> Vec<&Param> {
        self.params.iter().filter(|param| param.role == Role::Wire).collect()
    }

    /// The type of the request: `()`, the only argument, or the tuple of all.
    pub(crate) fn request(&self) -> TokenStream {
        match self.wire()[..] {
            [param] => param.ty.to_token_stream(),
            ref params => {
                let types = params.iter().map(|param| &param.ty);
                q!((#(#types),*))
            }
        }
    }

    /// The items that the caller sends.
    pub(crate) fn inbound(&self) -> Option<&Type> {
        self.stream(Role::Inbound)
    }

    /// The items that the handler sends.
    pub(crate) fn outbound(&self) -> Option<&Type> {
        match &self.output {
            Output::Stream { item, .. } => Some(item),
            Output::Fallible(_) | Output::Plain(_) => self.stream(Role::Outbound),
        }
    }

    fn stream(&self, role: Role) -> Option<&Type> {
        self.params.iter().find(|param| param.role == role).map(|param| &param.ty)
    }

    /// Which sides stream.
    pub(crate) fn kind(&self) -> Kind {
        match (self.inbound(), self.outbound()) {
            (None, None) => Kind::Unary,
            (None, Some(_)) => Kind::ServerStream,
            (Some(_), None) => Kind::ClientStream,
            (Some(_), Some(_)) => Kind::Bidi,
        }
    }

    /// The type of the reply; `()` where the items are the reply.
    pub(crate) fn reply(&self, private: &TokenStream) -> TokenStream {
        match &self.output {
            Output::Plain(ty) => ty.to_token_stream(),
            Output::Fallible(result) => result.ok(private),
            Output::Stream { .. } => q!(()),
        }
    }

    /// The type of the error.
    pub(crate) fn error(&self, private: &TokenStream) -> TokenStream {
        let result = match &self.output {
            Output::Fallible(result) => Some(result),
            Output::Plain(_) => None,
            Output::Stream { items, opening, .. } => items.as_ref().or(opening.as_ref()),
        };
        match result {
            Some(result) => result.err(private),
            None => q!(#private::Infallible),
        }
    }
}

impl Fallible {
    /// `T`, in the user's own tokens where it can be seen: they carry the place of an error.
    pub(crate) fn ok(&self, private: &TokenStream) -> TokenStream {
        let whole = &self.whole;
        match &self.ok {
            Some(ty) => ty.to_token_stream(),
            None => q!(<#whole as #private::Fallible>::Ok),
        }
    }

    /// `E`, likewise.
    pub(crate) fn err(&self, private: &TokenStream) -> TokenStream {
        let whole = &self.whole;
        match &self.err {
            Some(ty) => ty.to_token_stream(),
            None => q!(<#whole as #private::Fallible>::Err),
        }
    }
}

impl Kind {
    /// The variant of `Kind`.
    pub(crate) fn variant(self) -> Ident {
        crate::span::ident(match self {
            Self::Unary => "Unary",
            Self::ServerStream => "ServerStream",
            Self::ClientStream => "ClientStream",
            Self::Bidi => "Bidi",
        })
    }
}
