//! The lab: a service with a handler for each thing that a call can do, which counts what happens to it.
//! Written without the macros, so that what it shows is the core alone.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use micro_core::codec::{Encoding, codec, decode, encode};
use micro_core::handler::{Serve, erase};
use micro_core::interceptor::Interceptor;
use micro_core::router::Router;
use micro_core::schema;
use micro_core::server::Server;
use micro_core::service::{Access, Kind, Location, MethodDescriptor, ServiceDescriptor};
use micro_core::status::FaultBody;
use micro_core::{
    __private as glue, BoxFuture, Code, Incoming, Injector, Outcome, Reply, Result, Status,
};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Longer than anything takes that works: reaching it is a failure.
pub const LONG: Duration = Duration::from_secs(20);

/// The service. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: watch::Sender<Counts>,
    gate: Semaphore,
}

/// What has happened in the handlers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Calls that reached their handler.
    pub started: usize,
    /// Handlers that were dropped before their end.
    pub dropped: usize,
    /// Items that handlers could send.
    pub sent: usize,
}

impl Default for Lab {
    fn default() -> Self {
        let (counts, gate) = (watch::Sender::new(Counts::default()), Semaphore::new(0));
        Self(Arc::new(Inner { counts, gate }))
    }
}

impl Lab {
    /// A server of it.
    pub fn server(&self) -> Server {
        self.server_with(&[], 100_000)
    }

    /// A server with interceptors and a limit.
    pub fn server_with(&self, around: &[Arc<dyn Interceptor>], max_running: usize) -> Server {
        let mut router = Router::default();
        router.add(erase::<Self, ()>(Arc::new(self.clone())), around).expect("a service");
        Server::of(router, max_running)
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.0.counts.borrow()
    }

    /// Returns when this is true of what has happened.
    ///
    /// # Panics
    /// After [`LONG`].
    pub async fn until(&self, is_true: impl Fn(&Counts) -> bool) {
        let mut counts = self.0.counts.subscribe();
        let reached = timeout(LONG, counts.wait_for(|counts| is_true(counts))).await;
        assert!(reached.is_ok(), "still {:?}", self.counts());
    }

    /// Lets this many calls of `hold` and its like go on.
    pub fn release(&self, calls: usize) {
        self.0.gate.add_permits(calls);
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.0.counts.send_modify(change);
    }

    async fn hold(&self) {
        // Fails only when the gate is closed, which nobody does.
        if let Ok(permit) = self.0.gate.acquire().await {
            permit.forget();
        }
    }
}

/// Counts a handler that is dropped before its end.
struct Dropped(Lab, bool);

impl Drop for Dropped {
    fn drop(&mut self) {
        if !self.1 {
            self.0.count(|counts| counts.dropped += 1);
        }
    }
}

const fn method(name: &'static str, kind: Kind) -> MethodDescriptor {
    MethodDescriptor {
        name,
        kind,
        idempotent: false,
        access: Access::Domain,
        http: None,
        timeout: None,
        docs: "",
        request: schema::ANY,
        reply: schema::ANY,
        location: LOCATION,
    }
}

const LOCATION: Location = Location { krate: "micro-tests", file: file!(), line: line!() };

/// The lab's descriptor.
pub static DESCRIPTOR: ServiceDescriptor = ServiceDescriptor {
    name: "lab",
    version: 1,
    type_name: "Lab",
    docs: "",
    methods: &[
        method("quiet", Kind::Unary),
        method("echo", Kind::Unary),
        method("fail", Kind::Unary),
        method("left", Kind::Unary),
        method("hold", Kind::Unary),
        method("panic", Kind::Unary),
        method("block", Kind::Unary),
        method("fill", Kind::Unary),
        method("hold_fill", Kind::Unary),
        method("caller", Kind::Unary),
        method("count", Kind::ServerStream),
        method("hold_items", Kind::ServerStream),
        method("one_item", Kind::ServerStream),
        method("sum", Kind::ClientStream),
        method("hold_sum", Kind::ClientStream),
        method("chat", Kind::Bidi),
        method("hold_chat", Kind::Bidi),
        MethodDescriptor {
            access: Access::Services(&["friend"]),
            ..method("friends", Kind::Unary)
        },
        MethodDescriptor { idempotent: true, ..method("echo_again", Kind::Unary) },
    ],
    subscriptions: &[],
    emits: &[],
    interceptors: &[],
    location: LOCATION,
};

impl Serve<()> for Lab {
    const DESCRIPTOR: &'static ServiceDescriptor = &DESCRIPTOR;

    async fn build(_: &Injector) -> Result<Self> {
        Ok(Self::default())
    }

    fn dispatch(self: Arc<Self>, method: u16, call: Incoming) -> BoxFuture<'static, Outcome> {
        if method == 0 {
            // Nothing but the call, for measurements.
            return glue::run(ready(Ok(Reply::new(call.body))));
        }
        glue::run(async move {
            self.count(|counts| counts.started += 1);
            let mut unfinished = Dropped(Self::clone(&self), false);
            let outcome = self.run(DESCRIPTOR.methods[usize::from(method)].name, call).await;
            // One that learns of the cancellation by its own send, before it is dropped, has not finished
            // either: which of the two comes first is a race.
            unfinished.1 = !matches!(&outcome, Err(status) if status.code() == Code::Cancelled);
            outcome
        })
    }

    fn deliver(self: Arc<Self>, _: u16, call: Incoming) -> BoxFuture<'static, Outcome> {
        glue::run(ready(glue::no_method(&call)))
    }
}

impl Lab {
    async fn run(&self, method: &str, mut call: Incoming) -> Outcome {
        match method {
            "echo" | "echo_again" | "friends" => {
                let mut reply = Reply::new(call.body);
                reply.metadata = call.context.metadata().clone();
                Ok(reply)
            }
            "fail" => Err(failure(call.encoding)),
            "left" => {
                let millis = call.context.time_left().as_millis() as u64;
                encode(call.encoding, &millis).map(Reply::new)
            }
            "hold" => {
                self.hold().await;
                Ok(Reply::new(call.body))
            }
            "panic" => panic!("the lab burns"),
            "block" => {
                let millis = decode(call.encoding, &call.body)?;
                #[expect(clippy::disallowed_methods, reason = "a handler that blocks its thread")]
                std::thread::sleep(Duration::from_millis(millis));
                Ok(Reply::default())
            }
            "fill" | "hold_fill" => {
                if method == "hold_fill" {
                    self.hold().await;
                }
                let bytes: usize = decode(call.encoding, &call.body)?;
                Ok(Reply::new(vec![7; bytes].into()))
            }
            "caller" => encode(call.encoding, &call.context.peer().service).map(Reply::new),
            "count" => {
                let (count, size): (u64, usize) = decode(call.encoding, &call.body)?;
                let sink = glue::outbound(codec::<(u64, String)>().encode, &mut call)?;
                for n in 0..count {
                    sink.send((n, "x".repeat(size))).await?;
                    self.count(|counts| counts.sent += 1);
                }
                Ok(Reply::default())
            }
            "hold_items" => {
                let sink = glue::outbound(codec::<u64>().encode, &mut call)?;
                sink.send(1).await?;
                self.hold().await;
                Ok(Reply::default())
            }
            "one_item" => {
                let bytes: usize = decode(call.encoding, &call.body)?;
                let sink = glue::outbound(codec::<String>().encode, &mut call)?;
                // A string of this length and its head of five bytes.
                sink.send("x".repeat(bytes - 5)).await?;
                Ok(Reply::default())
            }
            "sum" | "hold_sum" => {
                let mut items = glue::inbound(codec::<u64>().decode, &mut call)?;
                let mut sum = 0;
                while let Some(item) = items.next().await {
                    sum += item?;
                    if method == "hold_sum" {
                        self.hold().await;
                    }
                }
                encode(call.encoding, &sum).map(Reply::new)
            }
            "chat" | "hold_chat" => {
                let mut items = glue::inbound(codec::<u64>().decode, &mut call)?;
                let sink = glue::outbound(codec::<u64>().encode, &mut call)?;
                while let Some(item) = items.next().await {
                    sink.send(item?).await?;
                    if method == "hold_chat" {
                        self.hold().await;
                    }
                }
                Ok(Reply::default())
            }
            _ => glue::no_method(&call),
        }
    }
}

/// What `fail` answers.
fn failure(encoding: Encoding) -> Status {
    Status::new(Code::AlreadyExists, "the shelf is full").with_fault(FaultBody {
        name: "Shelf".into(),
        encoding: encoding as u8,
        bytes: Bytes::from_static(b"full"),
    })
}
