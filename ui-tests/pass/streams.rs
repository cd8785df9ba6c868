//! Streams of an inherent service, in every direction and beside other arguments.

use micro::prelude::*;
use micro::stream;

#[derive(Default)]
struct Flow;

#[fault]
#[derive(PartialEq)]
enum Stop {
    At(u32),
}

#[service]
impl Flow {
    #[handler]
    async fn out(&self, upto: u32, out: Sink<u32>) -> Result<()> {
        for n in 0..upto {
            out.send(n).await?;
        }
        Ok(())
    }

    #[handler(post = "/both", public)]
    async fn both(&self, ctx: &Context, by: u32, plus: u32, input: Streaming<u32>, out: Sink<u32>) {
        let _ = ctx;
        let mut input = input;
        while let Some(Ok(n)) = input.next().await {
            if out.send(n * by + plus).await.is_err() {
                return;
            }
        }
    }

    #[handler]
    async fn fails(&self, out: Sink<u32>) -> Result<(), Stop> {
        let _ = out.send(1).await;
        Err(Stop::At(1))
    }

    #[handler]
    async fn count(&self, mut input: Streaming<String>) -> u64 {
        let mut count = 0;
        while let Some(Ok(_)) = input.next().await {
            count += 1;
        }
        count
    }

    #[handler]
    fn returned(&self, upto: u32) -> impl Stream<Item = u32> {
        stream::iter(0..upto)
    }

    #[handler]
    async fn opened(&self, upto: u32) -> Result<impl Stream<Item = Result<u32, Stop>>, Stop> {
        if upto == 0 {
            return Err(Stop::At(0));
        }
        Ok(stream::iter((0..).map(move |n| if n < upto { Ok(n) } else { Err(Stop::At(n)) })))
    }

    #[handler]
    fn echoed(&self, input: Streaming<u8>) -> impl Stream<Item = Result<u8>> {
        input
    }
}

async fn all<T>(mut items: Streaming<T>) -> (Vec<T>, Option<Status>) {
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => seen.push(item),
            Err(status) => return (seen, Some(status)),
        }
    }
    (seen, None)
}

#[tokio::test]
async fn every_direction_streams() -> Result<()> {
    let app = App::in_memory().service(Flow).start().await?;
    let flow: FlowClient = app.service();
    assert_eq!(all(flow.out(3).await?).await.0, [0, 1, 2]);
    assert_eq!(all(flow.returned(2).timeout(micro::secs(2)).await?).await.0, [0, 1]);

    let (sink, items) = flow.both(10, 1).await?;
    sink.send(1).await?;
    sink.send(2).await?;
    drop(sink);
    assert_eq!(all(items).await.0, [11, 21]);

    let (sink, count) = flow.count().await?;
    sink.send("a".into()).await?;
    drop(sink);
    assert_eq!(count.await?, 1);

    let (seen, end) = all(flow.fails().await?).await;
    assert_eq!(seen, [1]);
    assert_eq!(end.expect("an end").into_fault::<Stop>().expect("a fault"), Stop::At(1));

    let (seen, end) = all(flow.opened(2).await?).await;
    assert_eq!(seen, [0, 1]);
    assert_eq!(end.expect("an end").into_fault::<Stop>().expect("a fault"), Stop::At(2));

    let (sink, items) = flow.echoed().await?;
    sink.send(7).await?;
    drop(sink);
    assert_eq!(all(items).await.0, [7]);
    app.shutdown().await;
    Ok(())
}
