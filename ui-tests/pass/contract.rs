//! A contract from another crate, and services around it.

use micro::{App, CallError, Code, Result};
use micro_ui_tests::strict::{PlainClient, PriceList, plain};
use micro_ui_tests::{Quote, QuoteError, QuoteRequest, QuotesClient};

fn request(sku: &str) -> QuoteRequest {
    QuoteRequest { sku: sku.into() }
}

#[tokio::test]
async fn the_client_of_a_contract_reaches_its_server() -> Result<()> {
    let app = App::in_memory().service(PriceList::default()).start().await?;
    let quotes: QuotesClient = app.service();
    assert_eq!(quotes.quote(request("tea")).await?, Quote { cents: 100 });
    match quotes.quote(request("none")).retry(3).await {
        Err(CallError::Fault(QuoteError::UnknownSku(sku))) => assert_eq!(sku, "none"),
        other => panic!("{other:?}"),
    }
    assert_eq!(quotes.add(1, 2).await?, 3);
    quotes.ping().await?;
    assert_eq!(QuotesClient::PING.method, "health");
    let refused = quotes.whoami().await.expect_err("nobody calls");
    assert_eq!(refused.code(), Code::Unauthenticated);
    app.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn all_four_kinds_of_streams_work() -> Result<()> {
    let app = App::in_memory().service(PriceList::default()).start().await?;
    let quotes: QuotesClient = app.service();
    let mut ticks = quotes.ticks(3).await?;
    let mut seen = Vec::new();
    while let Some(tick) = ticks.next().await {
        seen.push(tick?);
    }
    assert_eq!(seen, [0, 1, 2]);

    let mut numbers = quotes.numbers(9).await?;
    let mut last = None;
    while let Some(number) = numbers.next().await {
        last = Some(number);
    }
    assert_eq!(last.expect("an item").expect_err("the end").code(), Code::Aborted);

    let (sink, mut sums) = quotes.sum().await?;
    sink.send(1).await?;
    sink.send(41).await?;
    drop(sink);
    let mut seen = Vec::new();
    while let Some(sum) = sums.next().await {
        seen.push(sum?);
    }
    assert_eq!(seen, [1, 42]);

    let (sink, total) = quotes.total().await?;
    sink.send(20).await?;
    sink.send(22).await?;
    drop(sink);
    assert_eq!(total.await?, 42);
    app.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_module_is_a_service_and_its_functions_stay_functions() -> Result<()> {
    assert_eq!(plain::double(4).await?, 8);
    let app = App::in_memory().service(plain::Service).start().await?;
    let plain: PlainClient = app.service();
    assert_eq!(plain.double(21).hedge(micro::millis(50)).await?, 42);
    assert_eq!(plain.join("a".into(), "b".into()).await?, "a b");
    app.shutdown().await;
    Ok(())
}

#[test]
fn what_is_linked_is_served_unless_it_says_no() {
    let linked = micro::__private::inventory::iter::<micro::__private::Registration>();
    let names: Vec<_> = linked.map(|registration| registration.descriptor.name).collect();
    for name in ["quotes", "orders", "plain", "shop", "flow", "all-shapes"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    for name in ["own", "cache"] {
        assert!(!names.contains(&name), "{name} of {names:?}");
    }
}
