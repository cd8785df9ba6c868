//! Tokens of valid inputs, dropped, doubled and swapped at random: no mutant may make a macro panic, and
//! what it answers must parse, or one mistake of the user becomes rustc's confusion.

use std::panic::catch_unwind;

use proc_macro2::{Group, TokenStream, TokenTree};

use super::expand;

const SEEDS: &[(&str, &str, &str)] = &[
    (
        "service",
        r#"name = "greeter", secure, emits(A, B), intercept(trace, authz(only(hello))), expects(X)"#,
        r#"impl Greeter {
            /// Docs.
            #[init] async fn new(orders: OrdersClient) -> Result<Self> { x }
            #[handler(idempotent, get = "/v1/{name}/x", public)]
            pub async fn hello(&self, ctx: &Context, req: Hello) -> Result<Reply, E> { 1 }
            #[handler(roles = ["a"], timeout = "5s")]
            async fn add(&self, a: i64, r#type: Vec<u8>) -> i64 { a }
            #[handler(public)] fn ticks(&self, n: u32) -> impl Stream<Item = u32> { x }
            #[handler(allow("a", "b"))] async fn sum(&self, i: Streaming<i64>, o: Sink<i64>) -> Result<()> {}
            #[subscribe("a.*", group = "g")] async fn on(&self, e: Event) {}
            const X: u8 = 1; type Y = u8;
        }"#,
    ),
    (
        "service",
        "version = 2",
        r#"pub trait Api: Sync {
            async fn hello(&self, req: Hello) -> Result<Reply, E>;
            #[handler(name = "b")] async fn add(&self, a: i64, b: i64) -> i64 { a }
            async fn stream(&self) -> Result<impl Stream<Item = Result<u8>>>;
        }"#,
    ),
    (
        "service",
        "crate = fw, intercept(a(except(b)))",
        r#"impl<T: Store> api::Api for Cache<T> where T: X {
            async fn hello(&self, req: Hello) -> Result<Reply, E> { x }
            #[subscribe] async fn on(self: Arc<Self>, e: Event) -> Result<()> {}
            #[init] fn new(x: X) -> Self { x }
        }"#,
    ),
    (
        "service",
        "",
        r#"pub(crate) mod greeter {
            #![allow(dead_code)]
            use super::*;
            #[handler(put = "/x/{b}", authenticated)] pub async fn hello(a: Hello, b: u8) -> Reply { x }
            struct State(u8); static X: u8 = 1; macro_rules! m { () => {} }
        }"#,
    ),
    (
        "interceptor",
        "phase = authorize, requires(Principal), provides(Tenant, X)",
        "pub async fn known(call: Incoming, next: Next<'_>) -> Outcome { next.run(call).await }",
    ),
    (
        "event",
        r#""orders.created", key = customer.name"#,
        "#[derive(Clone)] #[serde(rename_all = \"camelCase\")] pub struct A<T> { customer: C, b: Vec<T> }",
    ),
    ("fault", "code = not_found", "#[derive(Debug)] enum Bad { A(String), B { c: u8 }, C }"),
    (
        "Schema",
        "",
        r#"#[serde(rename_all = "kebab-case", default)] pub enum Shape<T: X, const N: usize> {
            /// Docs.
            A, B(T), #[serde(rename = "both")] C(u8, u8), D { #[serde(default, with = "x")] a: bool },
        }"#,
    ),
    ("Inject", "", "struct S<T> { a: A, #[inject(value = 7)] b: u8, #[inject(default)] c: T }"),
    (
        "main",
        r#"services(PriceList as api::Quotes, Orders<u8>, greeter), external("a.*")"#,
        "async fn main() -> micro::Result<()> { micro::run().await }",
    ),
];

/// Bounded, so that the test stays within seconds; `FUZZ=1000000` looks longer.
const MUTANTS: usize = 8_000;

#[test]
fn seeds_expand_without_errors() {
    for (attribute, attr, item) in SEEDS {
        let (tokens, errors) =
            expand(attribute, attr.parse().expect("tokens"), item.parse().expect("tokens"));
        assert!(errors.is_empty(), "{errors}");
        syn::parse2::<syn::File>(tokens).expect("items");
    }
}

#[test]
fn mutants_never_panic_and_their_expansion_parses() {
    let mutants = std::env::var("FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTANTS);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut pool = Vec::new();
    for (_, attr, item) in SEEDS {
        flatten(attr.parse().expect("tokens"), &mut pool);
        flatten(item.parse().expect("tokens"), &mut pool);
    }
    let (mut tried, mut rejected) = (0, 0);
    for n in 0..mutants {
        let (attribute, attr, item) = SEEDS[n % SEEDS.len()];
        let mut attr: TokenStream = attr.parse().expect("tokens");
        let mut item: TokenStream = item.parse().expect("tokens");
        for _ in 0..=random.below(3) {
            let target = if random.below(5) == 0 { &mut attr } else { &mut item };
            let mut at = random.below(count(target) + 1);
            *target = mutate(std::mem::take(target), &mut at, &mut random, &pool);
        }
        if syn::parse2::<syn::Item>(item.clone()).is_err() {
            continue; // rustc refuses it before the macro runs.
        }
        tried += 1;
        let shown = format!("#[{attribute}({attr})] {item}");
        let expanded = catch_unwind(|| expand(attribute, attr, item));
        let (tokens, errors) = expanded.unwrap_or_else(|_| panic!("panics: {shown}"));
        rejected += usize::from(!errors.is_empty());
        if let Err(error) = syn::parse2::<syn::File>(tokens.clone()) {
            panic!("{error}\nof {shown}\n-> {tokens}");
        }
    }
    assert!(tried > mutants / 20 && rejected > tried / 20, "{tried} tried, {rejected} rejected");
}

/// Xorshift: the same mutants in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn count(tokens: &TokenStream) -> usize {
    let inner = |token: &TokenTree| match token {
        TokenTree::Group(group) => count(&group.stream()),
        _ => 0,
    };
    tokens.clone().into_iter().map(|token| 1 + inner(&token)).sum()
}

/// Drops, doubles, replaces or precedes the token at `at`, counted through all groups.
fn mutate(
    tokens: TokenStream,
    at: &mut usize,
    random: &mut Random,
    pool: &[TokenTree],
) -> TokenStream {
    let mut mutated = Vec::new();
    for token in tokens {
        let here = *at == 0;
        *at = at.wrapping_sub(1);
        let token = match token {
            TokenTree::Group(group) => {
                let inner = mutate(group.stream(), at, random, pool);
                TokenTree::Group(Group::new(group.delimiter(), inner))
            }
            token => token,
        };
        if !here {
            mutated.push(token);
            continue;
        }
        let other = pool[random.below(pool.len())].clone();
        match random.below(4) {
            0 => {}
            1 => mutated.extend([token.clone(), token]),
            2 => mutated.push(other),
            _ => mutated.extend([other, token]),
        }
    }
    mutated.into_iter().collect()
}

fn flatten(tokens: TokenStream, pool: &mut Vec<TokenTree>) {
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            flatten(group.stream(), pool);
        }
        pool.push(token);
    }
}
