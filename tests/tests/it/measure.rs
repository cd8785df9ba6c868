//! Figures, not tests: `cargo test --release -p micro-tests --test it measure -- --ignored --nocapture`.
//! Server and client share one process and its cores.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use micro_core::client::Repeat;
use micro_core::codec::Encoding;
use micro_core::handler::Target;
use micro_core::identity::DevCa;
use micro_core::interceptor::Interceptor;
use micro_core::registry::{Instance, InstanceId, Registry};
use micro_core::transport::memory::Memory;
use micro_core::transport::quic::Quic;
use micro_core::transport::{Address, Connection, Transport};
use micro_core::{BoxFuture, Context, Incoming, InterceptorDescriptor, Next, Outcome, Phase};
use micro_tests::conformance::transport::request;
use micro_tests::lab::{LONG, Lab};
use micro_tests::puppet::Puppets;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::conformance::transport::Directory;

const TIME: Duration = Duration::from_secs(3);

/// Calls a second by so many callers at once.
async fn rate<F, Fut>(callers: usize, call: F) -> f64
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let mut running = JoinSet::new();
    let began = Instant::now();
    for _ in 0..callers {
        let call = call.clone();
        running.spawn(async move {
            let mut count = 0u64;
            while began.elapsed() < TIME {
                call().await;
                count += 1;
            }
            count
        });
    }
    let mut count = 0;
    while let Some(calls) = running.join_next().await {
        count += calls.expect("no panic");
    }
    count as f64 / began.elapsed().as_secs_f64()
}

fn quic() -> (Quic, Directory) {
    let directory = Directory::new();
    let ca = DevCa::open(&directory.0).expect("a directory of our own");
    (Quic::new(Arc::new(ca), "friend", vec!["lab".into()]), directory)
}

async fn raw(transport: impl Transport, callers: usize, size: usize) -> f64 {
    let lab = Lab::default();
    let nowhere = Address::new(transport.scheme(), "127.0.0.1:0");
    let listener = transport.listen(&nowhere, Arc::new(lab.server())).await.expect("listens");
    let connection = transport.connect(&listener.address(), "lab").await.expect("connects");
    let body = Bytes::from(vec![7; size]);
    rate(callers, move || {
        let (connection, body): (Arc<dyn Connection>, _) = (Arc::clone(&connection), body.clone());
        async move { drop(connection.call(&request("quiet", body)).await.expect("answers")) }
    })
    .await
}

#[ignore = "a measurement: wants a release build and a quiet machine"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure_calls_on_one_connection() {
    for (callers, size) in
        [(1, 64), (64, 64), (256, 64), (64, 4 << 10), (8, 64 << 10), (4, 1 << 20)]
    {
        let (transport, _directory) = quic();
        let quic = raw(transport, callers, size).await;
        let memory = raw(Memory::default(), callers, size).await;
        println!("{callers:>4} in flight, {size:>8} B: quic {quic:>9.0}/s, memory {memory:>9.0}/s");
    }
}

#[ignore = "a measurement: wants a release build and a quiet machine"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure_items_of_a_stream() {
    let (transport, _directory) = quic();
    let lab = Lab::default();
    let nowhere = Address::new("quic", "127.0.0.1:0");
    let listener = transport.listen(&nowhere, Arc::new(lab.server())).await.expect("listens");
    let connection = transport.connect(&listener.address(), "lab").await.expect("connects");
    let body = micro_core::codec::encode(Encoding::MessagePack, &(1_000_000u64, 50usize));
    let opened = connection.open(request("count", body.expect("encodes")), None);
    let (mut items, began) = (opened.await.expect("opens"), Instant::now());
    let mut count = 0u64;
    while let Some(item) = items.next().await {
        item.expect("an item");
        count += 1;
    }
    println!("stream: {:.0} items of 64 B a second", count as f64 / began.elapsed().as_secs_f64());
}

struct Nothing;

impl Interceptor for Nothing {
    fn descriptor(&self) -> InterceptorDescriptor {
        let (name, phase) = ("nothing", Phase::User);
        InterceptorDescriptor { name, phase, provides: &[], requires: &[] }
    }

    fn intercept<'a>(&'a self, call: Incoming, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { next.run(call).await })
    }
}

#[ignore = "a measurement: wants a release build and a quiet machine"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure_what_interceptors_cost() {
    for count in [0, 1, 5, 20] {
        let around = || (0..count).map(|_| Arc::new(Nothing) as Arc<dyn Interceptor>);
        let (puppets, lab) = (Puppets::default(), Lab::default());
        let memory: Arc<dyn Transport> = Arc::new(Memory::default());
        let server = lab.server_with(&around().collect::<Vec<_>>(), 1_000);
        let nowhere = Address::new("memory", 0);
        let listener = memory.listen(&nowhere, Arc::new(server)).await.expect("listens");
        let instance = Instance {
            id: InstanceId::random(),
            service: "lab".into(),
            version: 1,
            addresses: vec![listener.address()],
            metadata: Default::default(),
            subscriptions: Vec::new(),
        };
        let _lease = puppets.registry.register(instance).await.expect("registers");
        let client = puppets.client(around(), [memory]);
        let rate = rate(1, move || {
            let client = client.clone();
            async move {
                let target = Target::new("lab", "quiet");
                let context = Context::new(LONG);
                let body = Bytes::from_static(&[7; 64]);
                let call = Incoming::outgoing(target, context, Encoding::MessagePack, body);
                client.call(call, Repeat::default()).await.expect("answers");
            }
        });
        let nanos = 1e9 / rate.await;
        println!(
            "{count:>2} interceptors on each side: {nanos:>6.0} ns a call through client and server"
        );
    }
}
