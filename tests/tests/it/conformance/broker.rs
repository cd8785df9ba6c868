//! The brokers that are built in, against the suite.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use micro_core::broker::Broker;
use micro_core::broker::direct::{Courier, DirectBroker};
use micro_core::broker::memory::MemoryBroker;
use micro_core::handler::BoxFuture;
use micro_core::registry::{Instance, InstanceId, Lease, MemoryRegistry, Registry};
use micro_core::status::{Executed, Status};
use micro_core::stream::{self, Items, Outbound};
use micro_tests::conformance::broker::Processes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

mod memory {
    use super::OneProcess;
    micro_tests::broker_cases!(OneProcess::default());
}

mod direct {
    use super::Network;
    micro_tests::broker_cases!(Network::new());
}

/// All processes are one.
#[derive(Default)]
pub(crate) struct OneProcess(MemoryBroker);

impl Processes for OneProcess {
    fn broker(&self, _: usize) -> Arc<dyn Broker> {
        Arc::new(self.0.clone())
    }

    async fn settled(&self) {
        idle().await;
    }

    /// What a process has is dropped with it, which is the case's part.
    fn kill(&self, _: usize) {}
}

/// Processes with a registry in common; calls between them carry the bytes that the network would.
pub(crate) struct Network {
    registry: MemoryRegistry,
    nodes: Nodes,
    processes: Mutex<Vec<Process>>,
    /// What killed processes leave in the registry.
    stale: Arc<Mutex<Vec<Lease>>>,
}

type Nodes = Arc<Mutex<HashMap<InstanceId, Node>>>;

/// How a process is reached, while it lives.
#[derive(Clone)]
struct Node {
    broker: DirectBroker,
    alive: watch::Receiver<()>,
}

struct Process {
    id: InstanceId,
    broker: DirectBroker,
    _alive: watch::Sender<()>,
    _registering: JoinSet<()>,
}

impl Network {
    pub(crate) fn new() -> Self {
        let network = Self {
            registry: MemoryRegistry::new(),
            nodes: Nodes::default(),
            processes: Mutex::default(),
            stale: Arc::default(),
        };
        let processes = (0..3).map(|_| network.start()).collect();
        *network.processes.lock().expect("lock") = processes;
        network
    }

    fn start(&self) -> Process {
        let id = InstanceId::random();
        let registry: Arc<dyn Registry> = Arc::new(self.registry.clone());
        let courier = Arc::new(InProcess(self.nodes.clone(), Mutex::default()));
        let broker = DirectBroker::new(vec![id.clone()], registry, courier).expect("starts");
        let (alive, receiver) = watch::channel(());
        let node = Node { broker: broker.clone(), alive: receiver };
        self.nodes.lock().expect("lock").insert(id.clone(), node);
        let mut registering = JoinSet::new();
        registering.spawn(register(
            self.registry.clone(),
            id.clone(),
            broker.clone(),
            self.stale.clone(),
        ));
        Process { id, broker, _alive: alive, _registering: registering }
    }
}

/// Keeps the record of a process true. The leases outlive the process, as they do when it is killed.
async fn register(
    registry: MemoryRegistry,
    id: InstanceId,
    broker: DirectBroker,
    leases: Arc<Mutex<Vec<Lease>>>,
) {
    let mut listening = broker.own_subscriptions();
    loop {
        let instance = Instance {
            id: id.clone(),
            service: "orders".into(),
            version: 1,
            addresses: Vec::new(),
            metadata: Default::default(),
            subscriptions: listening.borrow_and_update().clone(),
        };
        let lease = registry.register(instance).await.expect("registers");
        leases.lock().expect("lock").push(lease);
        if listening.changed().await.is_err() {
            return;
        }
    }
}

impl Processes for Network {
    fn broker(&self, process: usize) -> Arc<dyn Broker> {
        Arc::new(self.processes.lock().expect("lock")[process].broker.clone())
    }

    async fn settled(&self) {
        idle().await;
    }

    fn kill(&self, process: usize) {
        let new = self.start();
        let old = std::mem::replace(&mut self.processes.lock().expect("lock")[process], new);
        self.nodes.lock().expect("lock").remove(&old.id);
    }
}

/// Streams that end when the process at the other end does.
struct InProcess(Nodes, Mutex<JoinSet<()>>);

impl Courier for InProcess {
    fn open<'a>(
        &'a self,
        to: &'a Instance,
        outbound: Outbound,
    ) -> BoxFuture<'a, Result<Items, Status>> {
        Box::pin(async move {
            let node = self.0.lock().expect("lock").get(&to.id).cloned();
            let Some(Node { broker, mut alive }) = node else {
                let status = Status::unavailable("nobody is there");
                return Err(status.with_executed(Executed::No));
            };
            let (sink, answers) = stream::items();
            self.1.lock().expect("lock").spawn(async move {
                tokio::select! {
                    ended = broker.serve(Items::sent(outbound), sink) => drop(ended),
                    _ = alive.changed() => {}
                }
            });
            Ok(Items::sent(answers))
        })
    }
}

/// Time passes only when nothing else can happen.
async fn idle() {
    sleep(Duration::from_millis(1)).await;
}
