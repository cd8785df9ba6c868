//! A process that only calls: asks the counter which process it is, and prints that.

use micro_tests::fixture::CounterClient;

#[micro::main]
async fn main() -> micro::Result<()> {
    let app = micro::connect().await?;
    let counter: CounterClient = app.service();
    println!("pid {}", counter.pid().await?);
    Ok(())
}
