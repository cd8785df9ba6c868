//! Signatures, options and kinds of state.

use std::sync::Arc;

use micro::Bytes;
use micro::prelude::*;

#[message]
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    a: u8,
    b: Option<String>,
}

#[derive(Clone, Default, serde::Deserialize)]
struct ShapeLimits {
    max: u64,
}

struct Shapes {
    limits: ShapeLimits,
    own: OwnClient,
}

type Res<T> = std::result::Result<T, Missing>;

#[fault(code = not_found)]
#[derive(Clone, PartialEq)]
struct Missing {
    what: String,
}

/// Every way to take arguments and to answer.
///
/// And more.
#[service(name = "all-shapes", version = 2, client = ShapesApi)]
impl Shapes {
    #[init]
    async fn new(
        limits: Config<ShapeLimits>,
        own: OwnClient,
        publisher: Publisher,
    ) -> Result<Self> {
        let _ = publisher;
        Ok(Self { limits: limits.0, own })
    }

    #[handler]
    async fn nothing(&self) {}

    #[handler(idempotent, timeout = "250ms")]
    async fn maximum(&self) -> u64 {
        self.limits.max
    }

    #[handler(put = "/pairs/{a}", public)]
    async fn one(&self, mut pair: Pair) -> Result<Pair> {
        pair.a += 1;
        Ok(pair)
    }

    #[handler(get = "/many/{a}/{c}", authenticated)]
    async fn many(&self, a: i64, _b: Option<Pair>, c: Vec<u8>, d: (u8, String)) -> String {
        format!("{a} {c:?} {d:?}")
    }

    #[handler(get = "/by-id/{id}", roles = ["reader", "writer"])]
    async fn by_id(&self, id: u64) -> std::result::Result<u64, Missing> {
        Err(Missing { what: id.to_string() })
    }

    #[handler(delete = "/eight", allow("orders"))]
    #[allow(clippy::too_many_arguments)]
    async fn eight(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
        a + b + c + d + e + f + g + h
    }

    #[handler(name = "renamed.handler")]
    #[allow(clippy::needless_lifetimes)]
    async fn renamed<'a>(self: Arc<Self>, ctx: &'a Context, text: String) -> Result<String> {
        ctx.metadata().get("k").map_or_else(|| Ok(text), |value| Ok(value.to_owned()))
    }

    #[handler]
    async fn delegates(&self, by: u8) -> Result<u8> {
        self.own.answer(by).await
    }

    /// Gone soon.
    #[deprecated(note = "use `one`")]
    #[handler]
    async fn old(&self, me: micro_ui_tests::Quote) -> Self_ {
        Self_(me.cents)
    }

    #[cfg(any())]
    #[handler]
    async fn never(&self, x: Nothing) -> Nothing {
        x
    }

    #[cfg(not(any()))]
    #[handler]
    async fn always(&self, x: u8) -> u8 {
        x
    }

    #[cfg(any())]
    #[subscribe]
    async fn never_on(&self, x: Nothing) {}

    #[subscribe(broadcast)]
    async fn on(&self, _order: micro_ui_tests::strict::OrderCreated) -> Result<()> {
        Ok(())
    }
}

#[message]
struct Self_(u64);

/// Made by hand, and not by every program that links it.
struct Own(u8);

#[service(manual)]
impl Own {
    #[handler]
    async fn answer(&self, by: u8) -> u8 {
        self.0 * by
    }

    #[handler]
    async fn raw(&self, bytes: Vec<u8>) -> usize {
        Bytes::from(bytes).len()
    }
}

/// Generic over its storage: served when it is listed or handed over.
struct Cache<S> {
    store: S,
}

trait Store: Send + Sync + 'static {
    fn get(&self, key: &str) -> Option<String>;
}

#[derive(Default)]
struct Fixed;

impl Store for Fixed {
    fn get(&self, key: &str) -> Option<String> {
        (key == "a").then(|| "b".into())
    }
}

#[service(name = "cache")]
impl<S: Store + Default> Cache<S> {
    #[init]
    fn new() -> Self {
        Self { store: S::default() }
    }

    #[handler(idempotent)]
    pub async fn get(&self, key: String) -> Option<String> {
        self.store.get(&key)
    }
}

/// What a macro writes is read like what a person writes.
macro_rules! echo {
    ($name:ident, $item:ty, $lent:ty) => {
        #[derive(Default)]
        struct $name;

        #[service]
        impl $name {
            #[handler]
            async fn echo(&self, item: $item, lent: $lent) -> micro::Result<$item> {
                let _ = lent;
                Ok(item)
            }
        }
    };
}
echo!(EchoBytes, Vec<u8>, &Context);

/// A `cfg` below the attribute takes everything away.
#[service]
#[cfg(any())]
impl Nothing {
    #[handler]
    async fn hello(&self) {}
}

#[service]
#[cfg(any())]
mod nothing {
    #[handler]
    pub async fn hello() {}
}

/// An alias named `Result` is seen through.
mod aliased {
    use micro::service;

    type Result<T> = std::result::Result<T, super::Missing>;

    #[derive(Default)]
    pub(super) struct Aliased;

    #[service]
    impl Aliased {
        #[handler]
        async fn find(&self, what: String) -> Result<u8> {
            Err(super::Missing { what })
        }
    }
}

const GENERIC: &[&micro::check::ServiceDescriptor] = micro::app![Cache<Fixed>, Own, Shapes];

#[tokio::test]
async fn every_signature_is_called() -> Result<()> {
    let shapes = Shapes { limits: ShapeLimits { max: 9 }, own: client_of_nobody().await? };
    let app = App::in_memory()
        .service(shapes)
        .service(Own(2))
        .service(aliased::Aliased)
        .service(EchoBytes);
    let app = app.service(Cache { store: Fixed }).start().await?;
    let shapes: ShapesApi = app.service();
    shapes.nothing().await?;
    assert_eq!(shapes.maximum().retry(2).await?, 9);
    let pair = shapes.one(Pair { a: 1, b: None }).await?;
    assert_eq!(pair, Pair { a: 2, b: None });
    let refused = shapes.many(1, None, vec![2], (3, "x".into())).await.expect_err("nobody calls");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(shapes.always(3).await?, 3);
    assert_eq!(shapes.renamed("x".into()).metadata("k", "v").await?, "v");
    #[allow(deprecated)]
    let old = shapes.old(micro_ui_tests::Quote { cents: 5 }).await?;
    assert_eq!(old.0, 5);
    assert_eq!(ShapesApi::RENAMED.method, "renamed.handler");
    assert_eq!(app.service::<CacheClient>().get("a".into()).await?.as_deref(), Some("b"));
    assert_eq!(app.service::<OwnClient>().answer(4).await?, 8);
    assert_eq!(app.service::<EchoBytesClient>().echo(vec![1]).await?, [1]);

    let found: Res<u8> = match app.service::<aliased::AliasedClient>().find("x".into()).await {
        Ok(found) => Ok(found),
        Err(CallError::Fault(missing)) => Err(missing),
        Err(CallError::Status(status)) => panic!("{status:?}"),
    };
    assert_eq!(found, Err(Missing { what: "x".into() }));
    app.shutdown().await;
    Ok(())
}

async fn client_of_nobody() -> Result<OwnClient> {
    Ok(App::in_memory().start().await?.service())
}

#[test]
fn descriptors_say_what_was_written() {
    use micro::__private::{Access, Kind};
    use micro::check::ServiceDescriptor;

    let shapes: &ServiceDescriptor = GENERIC[2];
    assert_eq!((shapes.name, shapes.version, shapes.type_name), ("all-shapes", 2, "Shapes"));
    assert_eq!(shapes.docs, "Every way to take arguments and to answer.\n\nAnd more.");
    let method = |name: &str| &shapes.methods[shapes.method(name).expect(name)];
    assert_eq!(method("maximum").timeout, Some(micro::millis(250)));
    assert!(method("many").idempotent, "GET is");
    assert_eq!(method("eight").access, Access::Services(&["orders"]));
    assert_eq!(method("by_id").access, Access::Roles(&["reader", "writer"]));
    assert_eq!(method("nothing").access, Access::Domain);
    assert_eq!(method("one").kind, Kind::Unary);
    assert_eq!(method("old").docs, "Gone soon.");
    assert!(shapes.method("never").is_none() && shapes.method("always").is_some());
    assert_eq!(shapes.subscriptions.len(), 1);
    assert!(shapes.subscriptions[0].broadcast);
    assert_eq!(shapes.subscriptions[0].pattern, "orders.created");
    assert!(shapes.location.file.ends_with("shapes.rs"), "{}", shapes.location);
}
