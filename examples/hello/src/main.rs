//! The smallest service: one struct, three handlers.
//!
//! ```sh
//! cargo run                                                          # in one terminal
//! cargo run -p micro-cli -- call greeter.hello '{"name":"Ann"}'      # in another: "Hello, Ann!"
//! cargo run -p micro-cli -- call greeter.add '{"a":2,"b":3}'         # 5
//! cargo run -p micro-cli -- describe greeter
//! ```

use micro::prelude::*;

/// Whom to greet.
#[message]
pub struct HelloRequest {
    /// The name as it is spoken.
    name: String,
}

/// Greets people and adds numbers.
#[derive(Default)]
pub struct Greeter;

#[service]
impl Greeter {
    /// Greets one person.
    #[handler(idempotent, public, get = "/v1/hello/{name}")]
    async fn hello(&self, req: HelloRequest) -> Result<String> {
        Ok(format!("Hello, {}!", req.name))
    }

    /// Adds two numbers; several arguments travel by name.
    #[handler(idempotent)]
    async fn add(&self, a: i64, b: i64) -> Result<i64> {
        a.checked_add(b).ok_or_else(|| Status::out_of_range("the sum does not fit 64 bits"))
    }

    /// Counts up to a number, one item at a time.
    #[handler]
    async fn ticks(&self, upto: u32, out: Sink<u32>) -> Result<()> {
        for tick in 0..upto {
            out.send(tick).await?;
        }
        Ok(())
    }
}

#[micro::main]
async fn main() -> micro::Result<()> {
    micro::run().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn greets_by_name() -> micro::Result<()> {
        let app = App::in_memory().service(Greeter).start().await?;
        let greeter: GreeterClient = app.service();
        assert_eq!(greeter.hello(HelloRequest { name: "Ann".into() }).await?, "Hello, Ann!");
        assert_eq!(greeter.add(2, 3).await?, 5);
        assert_eq!(greeter.add(i64::MAX, 1).await.unwrap_err().code(), Code::OutOfRange);
        Ok(())
    }
}
