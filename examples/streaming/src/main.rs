//! The three kinds of streams, called by their generated client in the same process over real QUIC.
//!
//! ```sh
//! cargo run -p streaming      # calls itself and prints what comes back
//! ```

use micro::prelude::*;

/// Streams in every direction.
#[derive(Default)]
pub struct Numbers;

#[service]
impl Numbers {
    /// The server streams until the caller has enough.
    #[handler]
    async fn count(&self, from: u64, out: Sink<u64>) -> Result<()> {
        for n in from.. {
            // Waits while the caller is behind, and fails when it has gone.
            out.send(n).await?;
        }
        Ok(())
    }

    /// The client streams.
    #[handler]
    async fn sum(&self, mut numbers: Streaming<i64>) -> Result<i64> {
        let mut sum = 0;
        while let Some(n) = numbers.next().await {
            sum += n?;
        }
        Ok(sum)
    }

    /// Both stream: each word comes back in capitals, at once.
    #[handler]
    async fn shout(&self, mut words: Streaming<String>, out: Sink<String>) -> Result<()> {
        while let Some(word) = words.next().await {
            out.send(word?.to_uppercase()).await?;
        }
        Ok(())
    }

    /// A stream can be returned as well.
    #[handler]
    fn squares(&self, upto: u32) -> impl Stream<Item = u32> {
        micro::stream::iter((1..=upto).map(|n| n * n))
    }
}

#[micro::main]
async fn main() -> micro::Result<()> {
    let app = micro::start().await?;
    call(app.service()).await?;
    app.shutdown().await;
    Ok(())
}

async fn call(numbers: NumbersClient) -> Result<()> {
    let mut counted = numbers.count(10).await?;
    println!("count   {:?}", counted.next().await.transpose()?);
    drop(counted); // tells the server to stop

    let (send, sum) = numbers.sum().await?;
    for n in 1..=100 {
        send.send(n).await?;
    }
    drop(send); // the end of the stream
    println!("sum     {}", sum.await?);

    let (send, mut shouted) = numbers.shout().await?;
    send.send("quick".to_owned()).await?;
    println!("shout   {:?}", shouted.next().await.transpose()?);

    let mut squares = numbers.squares(4).await?;
    while let Some(square) = squares.next().await {
        println!("squares {}", square?);
    }
    Ok(())
}
