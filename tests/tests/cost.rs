//! What a call costs in memory, counted: these figures do not depend on the machine.
//!
//! The transport of these tests answers at once and allocates nothing, so that what is counted is the way
//! from the typed call to the transport and back.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use micro_core::__private::{Call, Encoder, Kind, Once, Route};
use micro_core::balance::PowerOfTwo;
use micro_core::client::{Channel, Client, Resolver, Timeouts};
use micro_core::codec::codec;
use micro_core::interceptor::Chain;
use micro_core::registry::{Instance, InstanceId, Lease, MemoryRegistry, Registry};
use micro_core::schema::{self, Contract};
use micro_core::stream::{Items, Outbound};
use micro_core::transport::{
    Address, Calling, Connection, Dispatch, Listener, Request, Slots, Transport,
};
use micro_core::{Blob, BoxFuture, Outcome, Peer, Reply, Result, Status, Wire};
use tokio::runtime::{Builder, Runtime};

const CALLS: u64 = 1_000;

/// A transport that answers each call with its request.
#[derive(Debug)]
struct Mirror;

#[derive(Debug, Default)]
struct Reflection {
    peer: Arc<Peer>,
    bodies: Arc<Bodies>,
}

/// What is to be answered.
#[derive(Debug, Default)]
struct Bodies(Mutex<(u64, Vec<(u64, Bytes)>)>);

impl Slots for Bodies {
    fn poll_outcome(&self, id: u64, _: &mut Context<'_>) -> Poll<Outcome> {
        let (_, bodies) = &mut *self.0.lock().expect("whole");
        let place = bodies.iter().position(|(other, _)| *other == id).expect("sent once");
        Poll::Ready(Ok(Reply::new(bodies.swap_remove(place).1)))
    }

    fn cancel(&self, _: u64) {}
}

impl Connection for Reflection {
    fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    fn call_for(&self, request: &Request, waker: Option<&Waker>) -> Calling {
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
        let (count, bodies) = &mut *self.bodies.0.lock().expect("whole");
        *count += 1;
        bodies.push((*count, request.body.clone()));
        Calling::slot(Arc::clone(&self.bodies) as Arc<dyn Slots>, *count)
    }

    fn open(&self, _: Request, _: Option<Outbound>) -> BoxFuture<'_, Result<Items>> {
        Box::pin(async { Err(Status::unimplemented("no streams")) })
    }

    fn is_open(&self) -> bool {
        true
    }

    fn close(&self) {}
}

impl Transport for Mirror {
    fn scheme(&self) -> &'static str {
        "mirror"
    }

    fn listen<'a>(
        &'a self,
        _: &'a Address,
        _: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>> {
        Box::pin(async { Err(Status::unimplemented("no listener")) })
    }

    fn connect<'a>(
        &'a self,
        _: &'a Address,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>> {
        Box::pin(async { Ok(Arc::new(Reflection::default()) as Arc<dyn Connection>) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A client of so many instances, and a runtime for it.
struct Bench {
    runtime: Runtime,
    channel: Channel,
    _leases: Vec<Lease>,
}

fn bench(instances: usize) -> Bench {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (channel, leases) = runtime.block_on(async {
        let registry = Arc::new(MemoryRegistry::new());
        let mut leases = Vec::new();
        for _ in 0..instances {
            let instance = Instance {
                id: InstanceId::random(),
                service: "mirror".into(),
                version: 1,
                addresses: vec![Address::new("mirror", 0)],
                metadata: Default::default(),
                subscriptions: Vec::new(),
            };
            leases.push(registry.register(instance).await.expect("registers"));
        }
        let transport: Arc<dyn Transport> = Arc::new(Mirror);
        let resolver = Resolver::new(registry, [transport], PowerOfTwo);
        let client = Client::new(resolver, Chain::new([]), Timeouts::default());
        (client.channel("mirror"), leases)
    });
    Bench { runtime, channel, _leases: leases }
}

const fn route<T: Wire>() -> Route<T, T, Status, Once> {
    let (encode, decode) = (codec::<T>().encode, codec::<T>().decode);
    let contract = Contract { request: schema::ANY, reply: schema::ANY };
    Route::new("mirror", "show", Kind::Unary, Encoder::One(encode), decode, contract)
}

impl Bench {
    /// Allocations and the most bytes at a time, of calls one after the other.
    fn calls<T: Wire>(&self, request: impl Fn() -> T) -> (u64, u64) {
        let calls = |count| {
            self.runtime.block_on(async {
                for _ in 0..count {
                    let call = Call::new(&self.channel, route::<T>(), request());
                    drop(call.await.expect("answers"));
                }
            });
        };
        calls(CALLS);
        let counted = allocation_counter::measure(|| calls(CALLS));
        (counted.count_total, counted.bytes_max)
    }
}

#[test]
fn a_call_allocates_nothing_but_its_reply() {
    for instances in [1, 3] {
        let bench = bench(instances);
        let (count, _) = bench.calls(|| 7u64);
        assert!(count < CALLS / 100, "{count} allocations of {CALLS} calls");
        // The text of the request and the text of the reply.
        let (count, _) = bench.calls(|| "x".repeat(64));
        assert!(count < 2 * CALLS + CALLS / 100, "{count} allocations of {CALLS} calls");
    }
}

#[test]
fn calls_in_flight_share_what_they_are_encoded_in() {
    const AT_ONCE: usize = 64;
    let bench = bench(1);
    // Connects.
    bench.calls(|| 7u64);
    let round = || {
        bench.runtime.block_on(async {
            let calls: [_; AT_ONCE] = std::array::from_fn(|n| {
                Call::new(&bench.channel, route::<u64>(), n as u64).into_future()
            });
            let mut calls = pin!(calls);
            poll_fn(|cx| {
                // All are sent before the first is answered.
                for is_ready in [false, true] {
                    for call in calls.as_mut().get_mut() {
                        assert_eq!(pin!(call).poll(cx).is_ready(), is_ready);
                    }
                }
                Poll::Ready(())
            })
            .await;
        });
    };
    (0..100).for_each(|_| round());
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| round()));
    // One a round is the runtime's.
    assert!(counted.count_total < 150, "{} allocations of 6400 calls", counted.count_total);
}

#[test]
fn a_large_blob_is_copied_once_on_its_way() {
    const SIZE: usize = 1 << 20;
    let bench = bench(1);
    let blob: Blob = vec![7; SIZE].into();
    let (_, most) = bench.calls(|| blob.clone());
    // One copy, in the encoded request; the mirror answers with that, and the reply shares it.
    assert!(most < SIZE as u64 * 5 / 4, "{most} bytes");
}
