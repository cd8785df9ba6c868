//! `#[micro::main(services(..))]`.

use micro_ui_tests::strict::{Orders, PriceList, plain};
use micro_ui_tests::{QuoteRequest, Quotes, QuotesClient};

#[micro::main(services(PriceList as Quotes, Orders, plain), external("payments.*"))]
async fn main() -> micro::Result<()> {
    let list = micro::app![PriceList as Quotes, Orders, plain, external("payments.*")];
    let names: Vec<_> = list.iter().map(|service| service.name).collect();
    assert_eq!(names, ["quotes", "orders", "plain"]);
    assert_eq!(micro::check::findings(list), Vec::<String>::new());
    const DOUBLE: u16 = micro::check::route(micro::app![plain][0], "double");
    assert_eq!(DOUBLE, 0);

    let app = micro::App::linked().settings(micro::Settings::in_memory()).start().await?;
    let served: Vec<_> = app.services().map(|service| service.name).collect();
    assert_eq!(served, ["orders", "plain", "quotes"]);
    let quotes: QuotesClient = app.service();
    assert_eq!(quotes.quote(QuoteRequest { sku: "tea".into() }).await.expect("a quote").cents, 100);
    app.shutdown().await;
    Ok(())
}
