//! The attributes of micro. Depend on `micro` instead, which re-exports them.
//!
//! `parse` reads tokens, `lower` makes the `model` of them and checks what concerns one item, `check` what
//! concerns several, `expand` writes the generated code. All of it works on `proc_macro2` tokens, so that it
//! is tested as ordinary Rust; only this file knows of the compiler.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;

#[macro_use]
mod span;

mod app;
mod check;
mod diag;
mod event;
mod expand;
mod fault;
mod handler_fn;
mod inject;
mod interceptor;
mod lower;
mod main_fn;
mod message;
mod model;
mod parse;
mod schema;

#[cfg(test)]
mod tests;

use diag::Diag;

/// Expands, and adds the errors behind what was expanded.
fn run(expand: impl FnOnce(&mut Diag) -> Tokens) -> TokenStream {
    let mut diag = Diag::default();
    let mut tokens = expand(&mut diag);
    tokens.extend(diag.into_tokens());
    tokens.into()
}

/// `#[service]` on proc_macro2's tokens.
fn service_tokens(attr: Tokens, item: Tokens, diag: &mut Diag) -> Tokens {
    let Some(mut block) = diag.take(syn::parse2::<parse::item::Block>(item.clone())) else {
        return item;
    };
    let service = lower::service(attr, &mut block, diag);
    if diag.is_empty() {
        expand::service(&service, &block)
    } else {
        expand::recover(&service, &block)
    }
}

/// Makes a service, a contract, or the server of a contract.
///
/// | on | it makes |
/// |---|---|
/// | `impl Greeter { .. }` | a service, and its client `GreeterClient` |
/// | `trait Quotes { .. }` | a contract for a crate that clients and servers share, and `QuotesClient` |
/// | `impl Quotes for PriceList { .. }` | a server of the contract |
/// | `mod greeter { .. }` | a service without a struct, and `GreeterClient` beside the module |
///
/// ```ignore
/// #[derive(Default)]
/// pub struct Greeter;
///
/// #[service(name = "greeter", intercept(trace, known(except(health))))]
/// impl Greeter {
///     /// Greets one person.
///     #[handler(idempotent, public, get = "/v1/hello/{name}")]
///     async fn hello(&self, req: HelloRequest) -> Result<String> { .. }
///
///     #[handler(authenticated)]
///     async fn health(&self) -> bool { true }
/// }
///
/// let text = greeter.hello(req).timeout(secs(1)).retry(2).await?;
/// ```
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `name = "orders"` | the name on the wire; the type's name in snake case unless given |
/// | `version = 2` | two versions are two services to a caller; 1 unless given |
/// | `secure` | every handler has to say who may call it |
/// | `client = OrdersApi` | the client's name |
/// | `emits(OrderCreated, ..)` | the events that it publishes, for whoever checks or draws the app |
/// | `intercept(a, b(only(x, y)), c(except(z)))` | interceptors around its handlers, in the order of running |
/// | `expects(Principal)` | what the app's own interceptors provide to these |
/// | `manual` | it is not made by micro: the app is handed a ready value |
/// | `no_register` | programs that link it do not serve it unless they list it |
/// | `crate = ::platform::micro` | where the facade is, if not at `::micro` |
///
/// The name, version, client and `secure` of a contract are written on the trait, all else on the impl.
///
/// # How the service is made
///
/// By the function marked `#[init]`, else by `#[derive(Inject)]` or `Default` of the type. In the server of
/// a contract, functions marked `#[init]` and `#[subscribe]` stand between the contract's: they move to an
/// impl block of their own.
///
/// # What is generated
///
/// The item stays as it is, without the attributes inside of it. Beside it stand the client, with a method
/// and a typed route (`GreeterClient::HELLO`) for each handler, and constants that the compiler evaluates
/// to check what only types can tell. A generic type is served when it is listed or handed over; other
/// services are served by every program that links them.
#[proc_macro_attribute]
pub fn service(attr: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| service_tokens(attr.into(), item.into(), diag))
}

/// Makes a function of a `#[service]` callable from elsewhere.
///
/// ```ignore
/// #[handler(idempotent, roles = ["buyer"], get = "/v1/quotes/{sku}", timeout = "2s")]
/// async fn quote(&self, who: &Principal, req: QuoteRequest) -> Result<Quote, QuoteError> { .. }
/// ```
///
/// Parameters taken **by value come from the request**, parameters taken **by reference come from the
/// call**: `&Context`, `&Metadata`, `&Peer`, `&Principal`, or a type that implements `FromContext`. One
/// value is the request itself, several travel as a map by name. `Streaming<T>` is what the caller streams,
/// `Sink<T>` is where to stream back; `-> impl Stream<Item = T>` streams back too.
///
/// A handler returns `T`, `Result<T>`, or `Result<T, E>` where `E` is marked `#[fault]`.
///
/// | option | meaning |
/// |---|---|
/// | `name = "x"` | the name on the wire; renaming the function then changes nothing for callers |
/// | `idempotent` | it may run twice, so calls may be retried, hedged and sent as 0-RTT data |
/// | `public` | anybody may call it |
/// | `authenticated` | anybody may whom an interceptor found out |
/// | `roles = ["buyer"]` | whoever has one of these roles may |
/// | `allow("orders")` | these services may; without any of the four, all services of the domain may |
/// | `get = "/v1/quotes/{sku}"` | HTTP reaches it, also by `post`, `put`, `delete`, `patch`; needs one of the four |
/// | `timeout = "250ms"` | it never takes longer; `ms`, `s`, `m`, at most `1h` |
#[proc_macro_attribute]
pub fn handler(_: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| handler_fn::misplaced("handler", item.into(), diag))
}

/// Makes a function of a `#[service]` receive events.
///
/// The event's type names its topic. A pattern widens it only as far as the type still fits: one that cannot
/// match the topic does not compile.
///
/// ```ignore
/// #[subscribe]
/// async fn on_order(&self, order: OrderCreated) -> Result<()> { .. }
///
/// #[subscribe("orders.*", group = "audit")]
/// async fn audit(&self, ctx: &Context, order: OrderCreated) -> Result<()> { .. }
/// ```
///
/// Returning acknowledges the message; an error has it delivered again, later. The instances of one group
/// share the messages; the group is the service's name unless `group = ".."` says otherwise, and with
/// `broadcast` each instance gets all.
#[proc_macro_attribute]
pub fn subscribe(_: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| handler_fn::misplaced("subscribe", item.into(), diag))
}

/// Makes a function of a `#[service]` its constructor.
///
/// ```ignore
/// #[init]
/// async fn new(quotes: QuotesClient, limits: Config<Limits>) -> Result<Self> { .. }
/// ```
///
/// Each argument is injected by its type: clients of other services, `Config<T>`, `Publisher`, and whatever
/// implements `Inject`. It may be `async` or not and returns `Self` or `Result<Self>`.
#[proc_macro_attribute]
pub fn init(_: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| handler_fn::misplaced("init", item.into(), diag))
}

/// Makes an interceptor of an async function.
///
/// ```ignore
/// #[interceptor(phase = authorize, requires(Principal))]
/// async fn tenants_only(call: Incoming, next: Next<'_>) -> Outcome {
///     next.run(call).await
/// }
/// ```
///
/// | option | meaning |
/// |---|---|
/// | `phase = ..` | `observe`, `limit`, `authenticate`, `authorize`, `quota`, `validate` or `user` (the default): the order of running |
/// | `provides(Tag, ..)` | what it leaves in the call for those after it |
/// | `requires(Tag, ..)` | what one before it must have left |
///
/// Tags are words; interceptors that agree on a word fit together. Services name it in
/// `#[service(intercept(tenants_only))]`, an app in `App::intercept_with::<tenants_only>()`. The function
/// itself can still be called.
#[proc_macro_attribute]
pub fn interceptor(attr: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| interceptor::expand(attr.into(), item.into(), diag))
}

/// Makes a struct or enum a message: it gets serde's traits through the facade, and a schema.
///
/// ```ignore
/// #[message]
/// #[derive(Clone, Debug)]
/// #[serde(rename_all = "camelCase")]
/// pub struct QuoteRequest {
///     /// The product.
///     sku: String,
///     #[serde(default)]
///     count: u64,
/// }
/// ```
///
/// serde's attributes work as always, and the schema follows them. Types that only derive serde's traits can
/// travel too; nothing checks or describes their fields then.
#[proc_macro_attribute]
pub fn message(attr: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| message::expand(attr.into(), item.into(), diag))
}

/// Makes a message that belongs on one topic.
///
/// ```ignore
/// #[event("orders.created", key = customer)]
/// pub struct OrderCreated {
///     id: u64,
///     customer: String,
/// }
///
/// ctx.publish(OrderCreated { id: 7, customer: "ann".into() }).await?;
/// ```
///
/// Events with the same `key` (any field that implements `Display`) are handled in the order in which they
/// were published.
#[proc_macro_attribute]
pub fn event(attr: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| event::expand(attr.into(), item.into(), diag))
}

/// Makes an error of a contract: it arrives at the client as the type that the handler returned.
///
/// ```ignore
/// #[fault(code = not_found)]
/// pub enum QuoteError {
///     UnknownSku(String),
/// }
///
/// match quotes.quote(req).await {
///     Err(CallError::Fault(QuoteError::UnknownSku(sku))) => ..,
///     Err(CallError::Status(status)) => ..,
///     Ok(quote) => ..,
/// }
/// ```
///
/// It is a message with `Debug` derived, unless a derive below it has that. The code is what callers see
/// who do not know the type; `failed_precondition` unless given.
#[proc_macro_attribute]
pub fn fault(attr: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| fault::expand(attr.into(), item.into(), diag))
}

/// Runs an async `main`: configuration, logs, the runtime, and the exit code.
///
/// ```ignore
/// #[micro::main]
/// async fn main() -> micro::Result<()> {
///     micro::run().await
/// }
/// ```
///
/// Every linked service is served. A crate is linked when the program names anything in it; one that stands
/// only in `Cargo.toml` is not. A list says which services there are, links their crates, and lets the
/// compiler check them against each other:
///
/// ```ignore
/// #[micro::main(services(PriceList as Quotes, Orders, greeter), external("payments.*"))]
/// async fn main() -> micro::Result<()> { .. }
/// ```
///
/// `Type as Contract` is the server of a contract, a name in lower case is a module. Where a service says
/// what it `emits(..)`, each subscription needs someone who emits its topic; `external(..)` names the topics
/// that come from other processes.
#[proc_macro_attribute]
pub fn main(attr: TokenStream, item: TokenStream) -> TokenStream {
    run(|diag| main_fn::expand(attr.into(), item.into(), diag))
}

/// The descriptors of a list of services, checked against each other by the compiler.
///
/// ```ignore
/// const SERVICES: &[&ServiceDescriptor] = micro::app![PriceList as Quotes, Orders, Cache<PgStore>];
/// ```
///
/// The entries are those of `#[micro::main(services(..))]`.
#[proc_macro]
pub fn app(list: TokenStream) -> TokenStream {
    run(|diag| app::expand(list.into(), diag))
}

/// Makes a struct whose fields the app provides: a service, or a group of what services need.
///
/// ```ignore
/// #[derive(Inject)]
/// pub struct Orders {
///     quotes: QuotesClient,
///     limits: Config<Limits>,
///     #[inject(default)]
///     seen: AtomicU64,
///     #[inject(value = AtomicU64::new(1))]
///     next: AtomicU64,
/// }
/// ```
///
/// Use it or `Default`, not both.
#[proc_macro_derive(Inject, attributes(inject))]
pub fn derive_inject(item: TokenStream) -> TokenStream {
    run(|diag| inject::derive(item.into(), diag))
}

/// Describes a type as it travels. `#[message]`, `#[event]` and `#[fault]` do so already.
///
/// ```ignore
/// #[derive(serde::Deserialize, serde::Serialize, micro::Schema)]
/// pub struct Point {
///     x: f64,
///     y: f64,
/// }
/// ```
#[proc_macro_derive(Schema, attributes(serde, micro))]
pub fn derive_schema(item: TokenStream) -> TokenStream {
    run(|diag| schema::derive(item.into(), diag))
}
