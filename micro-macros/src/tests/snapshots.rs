//! What representative inputs expand to, kept as files that people can read.
//!
//! `BLESS=1 cargo test -p micro-macros` writes them anew.

use std::path::PathBuf;

use proc_macro2::TokenStream;

use super::expand;

fn snapshot(name: &str, attribute: &str, attr: &str, item: &str) {
    let (tokens, errors) =
        expand(attribute, attr.parse().expect("tokens"), item.parse().expect("tokens"));
    assert!(errors.is_empty(), "{errors}");
    let file = syn::parse2(tokens).expect("items");
    let expanded = prettyplease::unparse(&file);
    let path = format!("src/tests/expanded/{name}.rs");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &expanded).expect("writable");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, expanded, "{} differs", path.display());
}

#[test]
fn an_inherent_service() {
    let item = r#"
        impl Greeter {
            /// Greets.
            #[handler(idempotent, public, get = "/v1/hello/{name}", timeout = "1s")]
            async fn hello(&self, ctx: &Context, req: HelloRequest) -> Result<String, Refused> {
                Ok(req.name)
            }
            #[handler]
            async fn add(&self, a: i64, b: i64) -> i64 { a + b }
            #[subscribe("orders.*")]
            async fn on(&self, order: OrderCreated) -> Result<()> { Ok(()) }
            fn helper(&self) {}
        }
    "#;
    snapshot("inherent", "service", "emits(OrderCreated), intercept(trace(only(add)))", item);
}

#[test]
fn a_half_typed_body_goes_through() {
    let item = "impl Greeter { #[handler] async fn hello(&self) { self. } }";
    let (tokens, errors) = expand("service", TokenStream::new(), item.parse().expect("tokens"));
    assert!(errors.is_empty(), "{errors}");
    assert!(tokens.to_string().contains("{ self . }"));
}

#[test]
fn a_contract() {
    let item = r#"
        pub trait Quotes: Sync {
            #[handler(idempotent)]
            async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError>;
            async fn ping(&self) {}
            fn ticks(&self, upto: u32) -> impl Stream<Item = u32>;
        }
    "#;
    snapshot("contract", "service", "name = \"quotes\"", item);
}

#[test]
fn a_server_of_a_contract() {
    let item = r#"
        impl api::Quotes for PriceList {
            #[init]
            async fn new(limits: Config<Limits>) -> Result<Self> { Ok(Self(limits)) }
            async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError> { .. }
            #[subscribe]
            async fn on(&self, order: OrderCreated) {}
        }
    "#;
    snapshot("server", "service", "intercept(trace(except(quote)))", item);
}

#[test]
fn a_module() {
    let item = r#"
        pub mod greeter {
            use super::*;
            #[handler]
            pub async fn hello(name: String) -> String { name }
        }
    "#;
    snapshot("module", "service", "", item);
}

#[test]
fn all_kinds_of_streams() {
    let item = r#"
        impl<S: Store> Flow<S> {
            #[handler]
            async fn out(&self, upto: u32, out: Sink<u32>) -> Result<()> {}
            #[handler]
            async fn sum(&self, input: Streaming<u32>) -> Result<u32> {}
            #[handler]
            async fn both(&self, a: u8, b: u8, input: Streaming<u32>, out: Sink<u8>) {}
            #[cfg(feature = "x")]
            #[handler]
            async fn opened(&self) -> Result<impl Stream<Item = Result<u8>>, Fault> {}
        }
    "#;
    snapshot("streams", "service", "manual", item);
}

#[test]
fn an_interceptor() {
    let item =
        "pub async fn known(call: Incoming, next: Next<'_>) -> Outcome { next.run(call).await }";
    let attr = "phase = authorize, requires(Principal), provides(Tenant)";
    snapshot("interceptor", "interceptor", attr, item);
}

#[test]
fn an_event() {
    let item = "pub struct OrderCreated { id: u64, customer: String }";
    snapshot("event", "event", "\"orders.created\", key = customer", item);
}

#[test]
fn a_schema() {
    let item = r#"
        #[serde(rename_all = "camelCase")]
        pub enum Shape<T> {
            /// Nothing.
            Nothing,
            One(T),
            #[serde(rename = "both")]
            Two(u8, u8),
            Named { #[serde(default)] a: bool, #[serde(skip)] b: u8 },
        }
    "#;
    snapshot("schema", "Schema", "", item);
}

#[test]
fn a_main() {
    let item = "async fn main() -> micro::Result<()> { micro::run().await }";
    let attr = "services(PriceList as Quotes, Orders, greeter), external(\"payments.*\")";
    snapshot("main", "main", attr, item);
}
