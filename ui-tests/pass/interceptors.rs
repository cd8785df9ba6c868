//! Interceptors: where they run, and that they stay functions.

use std::sync::atomic::{AtomicUsize, Ordering};

use micro::prelude::*;

static COUNTED: AtomicUsize = AtomicUsize::new(0);

#[interceptor(phase = observe, provides(Count))]
async fn count(call: Incoming, next: Next<'_>) -> Outcome {
    COUNTED.fetch_add(1, Ordering::Relaxed);
    next.run(call).await
}

#[interceptor(phase = validate, requires(Count, Tenant))]
async fn closed(call: Incoming, _next: Next<'_>) -> Outcome {
    Err(Status::permission_denied(format!("{} is closed", call.method())))
}

#[derive(Default)]
struct Shop;

#[service(expects(Tenant), intercept(count, count(only(open)), closed(except(open, ajar))))]
impl Shop {
    #[handler]
    async fn open(&self) {}

    #[handler(name = "half-open")]
    async fn ajar(&self) {}

    #[handler]
    async fn shut(&self) {}
}

#[tokio::test]
async fn filters_choose_handlers() -> Result<()> {
    let app = App::in_memory().service(Shop).intercept_with::<tenant>().start().await?;
    let shop: ShopClient = app.service();
    shop.open().await?;
    assert_eq!(COUNTED.load(Ordering::Relaxed), 2);
    shop.ajar().await?;
    assert_eq!(shop.shut().await.expect_err("closed").code(), Code::PermissionDenied);
    app.shutdown().await;
    Ok(())
}

#[interceptor(provides(Tenant), phase = authenticate)]
async fn tenant(call: Incoming, next: Next<'_>) -> Outcome {
    next.run(call).await
}
