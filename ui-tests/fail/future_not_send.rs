#![allow(unused)]

use micro::prelude::*;

async fn io() {}

#[derive(Default)]
struct Greeter;

#[service]
impl Greeter {
    #[handler]
    async fn hello(&self) -> String {
        let text = std::rc::Rc::new(1);
        io().await;
        text.to_string()
    }
}

fn main() {}
