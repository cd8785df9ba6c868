//! What an event costs in memory, counted, from the publisher to the handlers of many processes.
//!
//! The processes are brokers in this one, and what is sent between them goes through a channel: what is
//! counted is the way from `publish` to the handler and the acknowledgement back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use micro::prelude::*;
use micro_core::broker::direct::{Courier, DirectBroker};
use micro_core::registry::{Instance, InstanceId, Lease, MemoryRegistry, Registry};
use micro_core::stream::{self, Items, Outbound};
use micro_core::{BoxFuture, Publisher};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const SUBSCRIBERS: u64 = 10;
const EVENTS: u64 = 2_000;

#[event("cost.tick")]
struct Tick {
    n: u64,
}

struct Counter(Arc<AtomicU64>);

#[service(manual)]
impl Counter {
    #[subscribe(broadcast)]
    async fn count(&self, tick: Tick) {
        self.0.fetch_add(u64::from(tick.n < u64::MAX), Ordering::Relaxed);
    }
}

/// The doors of all processes, and what runs behind them.
#[derive(Default)]
struct Doors(Mutex<(HashMap<InstanceId, DirectBroker>, JoinSet<()>)>);

impl Courier for Doors {
    fn open<'a>(&'a self, to: &'a Instance, outbound: Outbound) -> BoxFuture<'a, Result<Items>> {
        Box::pin(async move {
            let (sink, answers) = stream::items();
            let (brokers, serving) = &mut *self.0.lock().expect("whole");
            let serve = brokers[&to.id].serve(Items::sent(outbound), sink);
            serving.spawn(async move { drop(serve.await) });
            Ok(Items::sent(answers))
        })
    }
}

struct Bench {
    runtime: Runtime,
    publisher: Publisher,
    count: Arc<AtomicU64>,
    _leases: Vec<Lease>,
    _running: Vec<micro::Running>,
}

fn bench() -> Bench {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (registry, doors) = (MemoryRegistry::new(), Arc::new(Doors::default()));
    let count = Arc::new(AtomicU64::new(0));
    let (mut leases, mut running) = (Vec::new(), Vec::new());
    let broker = |id: &InstanceId| {
        let registry = Arc::new(registry.clone());
        DirectBroker::new(vec![id.clone()], registry, Arc::clone(&doors) as _).expect("starts")
    };
    let publisher = runtime.block_on(async {
        for _ in 0..SUBSCRIBERS {
            let id = InstanceId::random();
            let own = broker(&id);
            doors.0.lock().expect("whole").0.insert(id.clone(), own.clone());
            let app = App::in_memory().service(Counter(Arc::clone(&count)));
            running.push(app.broker(Arc::new(own.clone())).start().await.expect("starts"));
            let subscriptions = own.own_subscriptions().borrow().clone();
            let (service, addresses, metadata) = ("counter".into(), vec![], Default::default());
            let instance = Instance { id, service, version: 1, addresses, metadata, subscriptions };
            leases.push(registry.register(instance).await.expect("registers"));
        }
        Publisher::new(Arc::new(broker(&InstanceId::random())))
    });
    Bench { runtime, publisher, count, _leases: leases, _running: running }
}

impl Bench {
    /// Publishes events, and returns when all have been handled.
    fn publish(&self, events: u64) {
        self.runtime.block_on(async {
            let wanted = self.count.load(Ordering::Relaxed) + events * SUBSCRIBERS;
            for n in 0..events {
                self.publisher.publish(Tick { n }).await.expect("publishes");
            }
            let all = async {
                while self.count.load(Ordering::Relaxed) < wanted {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), all).await.expect("arrive");
        });
    }
}

#[test]
fn a_delivery_allocates_its_message_and_its_handler() {
    let bench = bench();
    bench.publish(EVENTS);
    let counted = allocation_counter::measure(|| bench.publish(EVENTS));
    let each = counted.count_total as f64 / (EVENTS * SUBSCRIBERS) as f64;
    // And a tenth of what publishing takes, and of what a batch does.
    assert!(each < 3.5, "{each} allocations a delivery");
}
