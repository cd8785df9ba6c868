#![allow(unused)]

use micro::prelude::*;

#[message]
struct HelloRequest {
    name: String,
}

#[derive(Default)]
struct Greeter;

#[service(nmae = "greeter", version = "two", secure)]
impl Greeter {
    #[handler(public)]
    fn not_async(&self) {}
    #[handler(public)]
    async fn no_self(req: HelloRequest) {}
    #[handler(public)]
    async fn mut_self(&mut self) {}
    #[handler(public)]
    async fn generic<T>(&self, value: T) {}
    #[handler(public)]
    async fn borrowed(&self, name: &str, rest: &[u8]) {}
    #[handler(public)]
    async fn lifetime(&self, text: std::borrow::Cow<'_, str>) {}
    #[handler(public)]
    async fn pattern(&self, HelloRequest { name }: HelloRequest) {}
    #[handler(public)]
    async fn by_value(&self, ctx: Context) {}
    #[handler(public)]
    async fn returns_reference(&self) -> &str {
        ""
    }
    #[handler(idempotant, public)]
    async fn typo(&self) {}
    #[handler]
    async fn nobody(&self) {}
    #[handlr]
    async fn helper_typo(&self) {}
}

// Nothing here fails because of the mistakes above.
async fn user(greeter: GreeterClient, app: micro::App) -> Result<()> {
    greeter.not_async().await?;
    greeter.nobody().timeout(secs(1)).await?;
    let app = app.service(Greeter).start().await?;
    app.service::<GreeterClient>().typo().await
}

fn main() {}
