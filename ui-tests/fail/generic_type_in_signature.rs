#![allow(unused)]

use micro::prelude::*;

struct Cache<T>(T);

#[service(manual)]
impl<T: Send + Sync + 'static> Cache<T> {
    #[handler]
    async fn put(&self, value: T) {}
}

fn main() {}
