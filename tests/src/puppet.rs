//! Puppets: instances whose every answer a test decides, on a transport without a network. What the
//! client does with them can be seen call by call, in virtual time.

use std::collections::HashMap;
use std::fmt;
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use micro_core::__private::Stream;
use micro_core::balance::PowerOfTwo;
use micro_core::client::{Client, Resolver, Timeouts};
use micro_core::interceptor::{Chain, Interceptor};
use micro_core::registry::{Instance, InstanceId, Lease, MemoryRegistry, Registry};
use micro_core::stream::{Items, Outbound};
use micro_core::transport::{Address, Calling, Connection, Dispatch, Listener, Request, Transport};
use micro_core::{BoxFuture, Executed, Outcome, Peer, Reply, Result, Status};
use tokio::time::Instant;

/// What an instance answers.
pub type Play = Arc<dyn Fn(&Request) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// A service `puppet` with instances that do as they are told. Clones are the same.
#[derive(Clone, Default)]
pub struct Puppets {
    stage: Arc<Mutex<Stage>>,
    /// Where the instances are registered.
    pub registry: MemoryRegistry,
}

#[derive(Default)]
struct Stage {
    plays: HashMap<String, Play>,
    seen: Vec<Seen>,
    leases: Vec<Lease>,
}

/// A call that reached an instance.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which one.
    pub instance: String,
    /// When.
    pub at: Instant,
    /// What.
    pub request: Request,
}

impl Puppets {
    /// Registers an instance.
    pub async fn add(&self, name: &str, play: Play) {
        let instance = Instance {
            id: InstanceId::random(),
            service: "puppet".into(),
            version: 1,
            addresses: vec![Address::new("puppet", name)],
            metadata: Default::default(),
            subscriptions: Vec::new(),
        };
        let lease = self.registry.register(instance).await.expect("registers");
        let mut stage = self.stage();
        stage.leases.push(lease);
        stage.plays.insert(name.to_owned(), play);
    }

    /// Changes what an instance does.
    pub fn play(&self, name: &str, play: Play) {
        self.stage().plays.insert(name.to_owned(), play);
    }

    /// Makes an instance unreachable, though it stays registered.
    pub fn down(&self, name: &str) {
        self.stage().plays.remove(name);
    }

    /// The calls so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.stage().seen.clone()
    }

    /// How many calls an instance has seen.
    pub fn count(&self, name: &str) -> usize {
        self.stage().seen.iter().filter(|seen| seen.instance == name).count()
    }

    /// A client that knows them, besides what else is in their registry.
    pub fn client(
        &self,
        around: impl IntoIterator<Item = Arc<dyn Interceptor>>,
        others: impl IntoIterator<Item = Arc<dyn Transport>>,
    ) -> Client {
        let puppets: Arc<dyn Transport> = Arc::new(self.clone());
        let transports = others.into_iter().chain([puppets]);
        let resolver = Resolver::new(Arc::new(self.registry.clone()), transports, PowerOfTwo);
        Client::new(resolver, Chain::new(around), Timeouts::default())
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers with what it got.
pub fn echo() -> Play {
    Arc::new(|request| {
        let reply = Reply::new(request.body.clone());
        Box::pin(async { Ok(reply) })
    })
}

/// Never answers.
pub fn silence() -> Play {
    Arc::new(|_| Box::pin(pending()))
}

/// Answers with a status.
pub fn error(status: impl Fn() -> Status + Send + Sync + 'static) -> Play {
    Arc::new(move |_| {
        let status = status();
        Box::pin(async { Err(status) })
    })
}

/// Is lost in the middle of each call.
pub fn lost() -> Play {
    error(|| Status::unavailable("lost"))
}

/// Takes no calls.
pub fn draining() -> Play {
    error(|| Status::unavailable("draining").with_executed(Executed::No))
}

impl Transport for Puppets {
    fn scheme(&self) -> &'static str {
        "puppet"
    }

    fn listen<'a>(
        &'a self,
        _: &'a Address,
        _: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>> {
        Box::pin(async { Err(Status::unimplemented("puppets do not listen")) })
    }

    fn connect<'a>(
        &'a self,
        address: &'a Address,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>> {
        Box::pin(async {
            let name = address.authority().to_owned();
            if !self.stage().plays.contains_key(&name) {
                return Err(Status::unavailable("down").with_executed(Executed::No));
            }
            let puppet = Puppet { puppets: self.clone(), name, peer: Arc::default() };
            Ok(Arc::new(puppet) as Arc<dyn Connection>)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

/// A stream on which nothing comes.
struct Nothing;

impl Stream for Nothing {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[derive(Debug)]
struct Puppet {
    puppets: Puppets,
    name: String,
    peer: Arc<Peer>,
}

impl Connection for Puppet {
    fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    fn call_for(&self, request: &Request, _: Option<&Waker>) -> Calling {
        let mut stage = self.puppets.stage();
        let (instance, at) = (self.name.clone(), Instant::now());
        stage.seen.push(Seen { instance, at, request: request.clone() });
        match stage.plays.get(&self.name) {
            Some(play) => Calling::future(request, play(request)),
            None => Calling::ended(Err(Status::unavailable("lost"))),
        }
    }

    fn open(&self, request: Request, _: Option<Outbound>) -> BoxFuture<'_, Result<Items>> {
        Box::pin(async move {
            self.call(&request).await?;
            Ok(Items::new(Nothing))
        })
    }

    fn is_open(&self) -> bool {
        self.puppets.stage().plays.contains_key(&self.name)
    }

    fn close(&self) {}
}

impl fmt::Debug for Puppets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puppets").finish_non_exhaustive()
    }
}
