//! Endpoints: one instance as a client sees it, with its connection and what is known of its health.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::balance::Candidate;
use crate::registry::Instance;
use crate::status::{Code, Executed, Result, Status};
use crate::sync::lock;
use crate::tasks;
use crate::transport::{Address, Connection, Transport};

/// The first rest after a failure; it doubles with each further one, up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Of the calls to an instance that is alone, one in so many is measured: there is nothing to choose, and
/// another that comes finds its latency known.
const MEASURED: u64 = 8;

/// An instance and the one connection to it. When that is lost the endpoint is replaced by one that
/// [`continues`](Endpoint::again) it, so that a call finds its connection without a lock.
pub(crate) struct Endpoint {
    pub(crate) instance: Instance,
    service: String,
    transport: Arc<dyn Transport>,
    address: Address,
    connection: OnceLock<Arc<dyn Connection>>,
    connecting: Mutex<Connecting>,
    load: Arc<Load>,
}

#[derive(Default)]
struct Connecting {
    waiting: Option<watch::Receiver<Option<Outcome>>>,
    /// The instance is gone: what is connected now is closed.
    retired: bool,
}

/// A connection, or why there is none; shared by all who wait for it.
type Outcome = std::result::Result<Arc<dyn Connection>, (Code, String)>;

/// What is known of an instance, whatever becomes of its connections. Each call under way holds it, and so
/// they are counted.
#[derive(Debug)]
pub(crate) struct Load {
    /// Tells instances apart.
    pub(super) serial: u64,
    latency: AtomicU64,
    /// When it may be called again, in nanoseconds after `since`; 0 while it is healthy.
    resting: AtomicU64,
    since: Instant,
    failures: Mutex<u32>,
}

impl Endpoint {
    pub(crate) fn new(
        instance: Instance,
        service: String,
        transport: Arc<dyn Transport>,
        address: Address,
    ) -> Self {
        let load = Arc::new(Load {
            serial: crate::id::count(),
            latency: AtomicU64::new(0),
            resting: AtomicU64::new(0),
            since: Instant::now(),
            failures: Mutex::new(0),
        });
        let (connection, connecting) = (OnceLock::new(), Mutex::default());
        Self { instance, service, transport, address, connection, connecting, load }
    }

    /// The same instance without a connection.
    pub(super) fn again(&self) -> Self {
        Self {
            instance: self.instance.clone(),
            service: self.service.clone(),
            transport: Arc::clone(&self.transport),
            address: self.address.clone(),
            connection: OnceLock::new(),
            connecting: Mutex::default(),
            load: Arc::clone(&self.load),
        }
    }

    /// What the balancer needs to know.
    pub(super) fn candidate(&self, now: Instant) -> Candidate {
        let load = &*self.load;
        Candidate {
            // One is the endpoint's own; one more for a moment while it is replaced.
            in_flight: (Arc::strong_count(&self.load) - 1) as u32,
            latency: load.latency.load(Ordering::Relaxed),
            resting: load.is_resting(now),
        }
    }

    /// Tells the instance apart from others, also when it has got a new connection.
    pub(super) fn serial(&self) -> u64 {
        self.load.serial
    }

    /// The connection, if there is one that takes calls.
    #[inline]
    pub(super) fn open(&self) -> Option<&Arc<dyn Connection>> {
        self.connection.get().filter(|connection| connection.is_open())
    }

    /// Whether it had a connection that takes no more calls.
    pub(super) fn is_spent(&self) -> bool {
        self.connection.get().is_some_and(|connection| !connection.is_open())
    }

    /// The connection, made if there is none; callers at the same time share one attempt, which goes on
    /// when one of them is dropped.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Arc<dyn Connection>> {
        let Some(mut waiting) = self.connecting() else {
            return self
                .connection
                .get()
                .cloned()
                .ok_or_else(|| Status::unavailable("no connection"));
        };
        let outcome = waiting.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        match outcome {
            Some(Ok(connection)) => Ok(connection),
            Some(Err((code, text))) => Err(Status::new(code, text).with_executed(Executed::No)),
            None => Err(Status::unavailable("connecting was given up").with_executed(Executed::No)),
        }
    }

    /// The attempt to connect, begun if there is none; nothing when there is a connection.
    fn connecting(self: &Arc<Self>) -> Option<watch::Receiver<Option<Outcome>>> {
        let mut connecting = lock(&self.connecting);
        if self.connection.get().is_some() {
            return None;
        }
        if let Some(waiting) = &connecting.waiting {
            return Some(waiting.clone());
        }
        let (done, waiting) = watch::channel(None);
        connecting.waiting = Some(waiting.clone());
        let endpoint = Arc::clone(self);
        tasks::spawn(async move {
            let outcome = endpoint.transport.connect(&endpoint.address, &endpoint.service).await;
            let outcome = endpoint.connected(outcome);
            // Fails only when nobody waits any more.
            let _ = done.send(Some(outcome));
        });
        Some(waiting)
    }

    /// Keeps a connection that was made, or lets the next call try again.
    fn connected(&self, outcome: Result<Arc<dyn Connection>>) -> Outcome {
        let mut connecting = lock(&self.connecting);
        connecting.waiting = None;
        match outcome {
            Ok(connection) => {
                if connecting.retired {
                    // Nobody else would.
                    connection.close();
                }
                Ok(Arc::clone(self.connection.get_or_init(|| connection)))
            }
            Err(status) => {
                tracing::debug!(address = %self.address, %status, "cannot connect");
                Err((status.code(), status.message().to_owned()))
            }
        }
    }

    /// Counts a call in; dropping the guard counts it out. `now` is when it began; `noise` decides whether
    /// it is measured when the instance is alone.
    #[inline]
    pub(super) fn begin(&self, now: Instant, is_alone: bool, noise: u64) -> InFlight {
        let measured = !is_alone || noise.is_multiple_of(MEASURED);
        InFlight { load: Some(Arc::clone(&self.load)), began: now, measured }
    }

    /// Lets the instance rest: it could not be reached.
    pub(super) fn failed(&self) {
        self.load.failed();
    }

    /// Closes the connection when its last call has ended.
    pub(super) fn retire(&self) {
        lock(&self.connecting).retired = true;
        if let Some(connection) = self.connection.get() {
            connection.close();
        }
    }
}

impl Load {
    /// Whether it is left alone for a while.
    fn is_resting(&self, now: Instant) -> bool {
        match self.resting.load(Ordering::Relaxed) {
            0 => false,
            until => u128::from(until) > now.saturating_duration_since(self.since).as_nanos(),
        }
    }

    fn failed(&self) {
        let mut failures = lock(&self.failures);
        let now = Instant::now();
        if self.is_resting(now) {
            // Many calls that fail at once with their connection are one failure.
            return;
        }
        let rest = FIRST_REST.saturating_mul(1 << (*failures).min(16)).min(LONGEST_REST);
        // Up to half as long again, so that clients do not come back all at once.
        let jitter = rest.as_millis() as u64 * (crate::id::noise() % 512) / 1024;
        *failures = failures.saturating_add(1);
        let until =
            now.saturating_duration_since(self.since) + rest + Duration::from_millis(jitter);
        self.resting.store(until.as_nanos() as u64, Ordering::Relaxed);
    }

    #[cold]
    fn recovered(&self) {
        let mut failures = lock(&self.failures);
        *failures = 0;
        self.resting.store(0, Ordering::Relaxed);
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Nothing once it was answered or has failed.
    load: Option<Arc<Load>>,
    began: Instant,
    measured: bool,
}

impl InFlight {
    /// The instance answered: its latency counts, and it is healthy.
    #[inline]
    pub(super) fn answered(mut self) {
        let Some(load) = self.load.take() else { return };
        if self.measured {
            let sample = self.nanos();
            let old = load.latency.load(Ordering::Relaxed);
            // A peak counts at once and is forgotten slowly; a lost update between two calls does no harm.
            let new = if sample > old { sample } else { old - (old - sample) / 8 };
            load.latency.store(new, Ordering::Relaxed);
        }
        if load.resting.load(Ordering::Relaxed) != 0 {
            load.recovered();
        }
    }

    /// The instance could not be reached: it rests. Which one it was.
    pub(super) fn failed(mut self) -> u64 {
        let Some(load) = self.load.take() else { return 0 };
        load.given_up(self.nanos());
        load.failed();
        load.serial
    }

    fn nanos(&self) -> u64 {
        (self.began.elapsed().as_nanos() as u64).max(1)
    }
}

impl Load {
    /// A call that was given up took at least so long: an instance that never answers gets slow.
    fn given_up(&self, nanos: u64) {
        self.latency.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        if let Some(load) = self.load.take() {
            load.given_up(self.nanos());
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}
