//! Names that generated code could trip over.
#![allow(clippy::new_ret_no_self, clippy::wrong_self_convention, dead_code, non_camel_case_types)]

use weird::*;

/// Types that shadow the prelude.
mod weird {
    pub struct Result;
    pub struct String;
    pub struct Option;
    pub struct Vec;
    pub struct Box;
    pub struct Send;
    pub struct Sync;
    pub struct Sized;
    pub trait Future {}
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct Default;
    pub struct u16;
}
mod std {}
mod core {}
mod serde {}

#[derive(::std::default::Default)]
pub struct S;

#[micro::event("things.happened")]
pub struct Happened {
    what: ::std::string::String,
}

#[micro::fault]
pub enum Fault {
    Bad,
}

#[micro::interceptor]
async fn call(call: micro::Incoming, next: micro::Next<'_>) -> micro::Outcome {
    next.run(call).await
}

#[micro::service(intercept(call), emits(Happened))]
impl S {
    #[micro::handler]
    async fn f(&self, call: u8, method: u8, from: i8, request: u8, argument0: u8, this: u8) -> u8 {
        let _ = (method, from, request, argument0, this);
        call
    }

    #[micro::handler]
    async fn g(&self, call: u8, ctx: &micro::Context) -> u8 {
        let _ = ctx;
        call
    }

    #[micro::handler]
    async fn r#type(&self, r#fn: u8, _unused: u8, _: u8) -> u8 {
        r#fn
    }

    /// Names of what every client has.
    #[micro::handler]
    async fn from(&self) {}
    #[micro::handler]
    async fn clone(&self, channel: u8) -> u8 {
        channel
    }
    #[micro::handler]
    async fn inject(&self) {}
    #[micro::handler]
    async fn service(&self) {}
    #[micro::handler]
    async fn new(&self) {}

    #[micro::subscribe("things.*")]
    async fn on(&self, subscription: Happened) {
        let _ = subscription.what;
    }
}

fn _used(_: (String, Option, Vec, Box, Send, Ok, Err, Some, Result, Default, Sync, Sized)) {}

#[tokio::test]
async fn no_name_is_taken() {
    let app = micro::App::in_memory().service(S).start().await.expect("starts");
    let client: SClient = app.service();
    let client = ::std::clone::Clone::clone(&client);
    assert_eq!(client.f(1, 2, 3, 4, 5, 6).await.expect("answers"), 1);
    assert_eq!(client.r#type(7, 0, 0).await.expect("answers"), 7);
    assert_eq!(client.clone(8).await.expect("answers"), 8);
    client.from().await.expect("answers");
    client.new().await.expect("answers");
    assert_eq!(SClient::TYPE.method, "type");
    app.shutdown().await;
}
