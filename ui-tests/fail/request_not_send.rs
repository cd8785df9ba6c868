#![allow(unused)]

use micro::prelude::*;

#[derive(serde::Deserialize, serde::Serialize)]
struct NotSend {
    #[serde(skip)]
    x: std::marker::PhantomData<std::rc::Rc<u8>>,
}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self, req: NotSend) {}
}

fn main() {}
