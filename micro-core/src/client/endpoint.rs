//! Endpoints: one instance as a client sees it, with its connection and what is known of its health.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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

/// An instance, the one connection to it, and its load.
pub(crate) struct Endpoint {
    pub(crate) instance: Instance,
    service: String,
    transport: Arc<dyn Transport>,
    address: Address,
    slot: Mutex<Slot>,
    load: Load,
}

#[derive(Default)]
enum Slot {
    #[default]
    Idle,
    Connecting(watch::Receiver<Option<Outcome>>),
    Open(Arc<dyn Connection>),
}

/// A connection, or why there is none; shared by all who wait for it.
type Outcome = std::result::Result<Arc<dyn Connection>, (Code, String)>;

#[derive(Debug, Default)]
struct Load {
    in_flight: AtomicU32,
    latency: AtomicU64,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    resting_until: Option<Instant>,
}

impl Endpoint {
    pub(crate) fn new(
        instance: Instance,
        service: String,
        transport: Arc<dyn Transport>,
        address: Address,
    ) -> Self {
        let (slot, load) = (Mutex::default(), Load::default());
        Self { instance, service, transport, address, slot, load }
    }

    /// What the balancer needs to know.
    pub(crate) fn candidate(&self, now: Instant) -> Candidate {
        Candidate {
            in_flight: self.load.in_flight.load(Ordering::Relaxed),
            latency: self.load.latency.load(Ordering::Relaxed),
            resting: lock(&self.load.health).resting_until.is_some_and(|until| until > now),
        }
    }

    /// The connection, made if there is none; callers at the same time share one attempt, which goes on
    /// when one of them is dropped.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Arc<dyn Connection>> {
        let mut waiting = match self.look() {
            Slot::Open(connection) => return Ok(connection),
            Slot::Connecting(waiting) => waiting,
            Slot::Idle => return Err(Status::unavailable("no connection")),
        };
        let outcome = waiting.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        match outcome {
            Some(Ok(connection)) => Ok(connection),
            Some(Err((code, text))) => Err(Status::new(code, text).with_executed(Executed::No)),
            None => Err(Status::unavailable("connecting was given up").with_executed(Executed::No)),
        }
    }

    /// What there is, after an attempt was started if it was nothing.
    fn look(self: &Arc<Self>) -> Slot {
        let mut slot = lock(&self.slot);
        match &*slot {
            Slot::Open(connection) if connection.is_open() => {
                return Slot::Open(Arc::clone(connection));
            }
            Slot::Connecting(waiting) => return Slot::Connecting(waiting.clone()),
            Slot::Idle | Slot::Open(_) => {}
        }
        let (done, waiting) = watch::channel(None);
        *slot = Slot::Connecting(waiting.clone());
        let endpoint = Arc::clone(self);
        tasks::spawn(async move {
            let outcome = endpoint.transport.connect(&endpoint.address, &endpoint.service).await;
            *lock(&endpoint.slot) = match &outcome {
                Ok(connection) => Slot::Open(Arc::clone(connection)),
                Err(status) => {
                    tracing::debug!(address = %endpoint.address, %status, "cannot connect");
                    Slot::Idle
                }
            };
            let outcome = outcome.map_err(|status| (status.code(), status.message().to_owned()));
            // Fails only when nobody waits any more.
            let _ = done.send(Some(outcome));
        });
        Slot::Connecting(waiting)
    }

    /// Counts a call in; dropping the guard counts it out.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.load.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { load: &self.load, began: Instant::now() }
    }

    /// Lets the instance rest: it could not be reached.
    pub(crate) fn failed(&self) {
        let mut health = lock(&self.load.health);
        if health.resting_until.is_some_and(|until| until > Instant::now()) {
            // Many calls that fail at once with their connection are one failure.
            return;
        }
        let rest = FIRST_REST.saturating_mul(1 << health.failures.min(16)).min(LONGEST_REST);
        // Up to half as long again, so that clients do not come back all at once.
        let jitter = rest.as_millis() as u64 * (crate::id::noise() % 512) / 1024;
        health.failures += 1;
        health.resting_until = Some(Instant::now() + rest + Duration::from_millis(jitter));
    }

    /// Closes the connection when its last call has ended.
    pub(crate) fn retire(&self) {
        if let Slot::Open(connection) = std::mem::take(&mut *lock(&self.slot)) {
            connection.close();
        }
    }
}

/// A call under way.
pub(crate) struct InFlight<'a> {
    load: &'a Load,
    began: Instant,
}

impl InFlight<'_> {
    /// The instance answered: its latency counts, and it is healthy.
    pub(crate) fn answered(self) {
        let sample = self.nanos();
        let old = self.load.latency.load(Ordering::Relaxed);
        // A peak counts at once and is forgotten slowly; a lost update between two calls does no harm.
        let new = if sample > old { sample } else { old - (old - sample) / 8 };
        self.load.latency.store(new, Ordering::Relaxed);
        let mut health = lock(&self.load.health);
        if health.failures > 0 {
            *health = Health::default();
        }
    }
}

impl InFlight<'_> {
    fn nanos(&self) -> u64 {
        (self.began.elapsed().as_nanos() as u64).max(1)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // A call that was given up took at least so long: an instance that never answers gets slow.
        self.load.latency.fetch_max(self.nanos(), Ordering::Relaxed);
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}
