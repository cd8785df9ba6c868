//! A running app: what can be asked of it, and how it stops without losing a call.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::builtin;
use super::subscriptions::Subscriptions;
use crate::broker::Broker;
use crate::broker::direct::DirectBroker;
use crate::client::{Client, ServiceClient};
use crate::config::Settings;
use crate::publisher::Publisher;
use crate::registry::{Instance, InstanceId, Lease, Listening, Registry};
use crate::service::ServiceDescriptor;
use crate::status::{Code, Result, Status};
use crate::sync::lock;
use crate::tasks;
use crate::transport::{Address, Listener, Transport};

/// A process that serves. Dropping it stops it at once; [`Running::shutdown`] lets calls end first.
#[derive(Debug)]
#[must_use = "dropping it stops it"]
pub struct Running(Parts);

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) descriptors: Vec<&'static ServiceDescriptor>,
    pub(super) client: Client,
    pub(super) transports: Vec<Arc<dyn Transport>>,
    pub(super) publisher: Publisher,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) direct: Option<DirectBroker>,
    pub(super) shared: Shared,
    pub(super) subscriptions: Subscriptions,
    pub(super) registered: Option<Registered>,
    pub(super) listener: Option<Box<dyn Listener>>,
    pub(super) state: Arc<builtin::State>,
}

/// What was handed to the app, may serve others too, and is not the app's to close.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) broker: bool,
    pub(super) transport: bool,
}

impl Running {
    pub(super) fn new(parts: Parts) -> Self {
        Self(parts)
    }

    /// A typed client of a service, wherever it runs.
    pub fn service<C: ServiceClient>(&self) -> C {
        self.0.client.service()
    }

    /// The client under all typed ones.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Publishes events.
    pub fn publisher(&self) -> &Publisher {
        &self.0.publisher
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.0.broker
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<Address> {
        self.0.listener.as_ref().map(|listener| listener.address())
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What it serves.
    pub fn services(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        self.0.descriptors.iter().copied()
    }

    /// Returns when the process was told to stop (SIGTERM, Ctrl-C) and has drained. A second signal ends
    /// the process at once.
    pub async fn stopped(self) {
        self.stopped_by(&mut Signals::new()).await;
    }

    pub(super) async fn stopped_by(self, signals: &mut Signals) {
        signals.next().await;
        eprintln!(
            "stopping: no new calls, {} s for those in flight",
            self.0.settings.drain_timeout.as_secs()
        );
        tokio::select! {
            () = self.shutdown() => {}
            () = signals.next() => {
                eprintln!("stopped at once");
                std::process::exit(130);
            }
        }
    }

    /// Stops in order: out of the registry, no new calls, calls and messages in flight to their end, the
    /// peers close, done. Takes at most the `drain_timeout` of the settings.
    pub async fn shutdown(self) {
        let Parts {
            settings,
            transports,
            broker,
            direct,
            shared,
            subscriptions,
            registered,
            listener,
            state,
            ..
        } = self.0;
        let deadline = Instant::now() + settings.drain_timeout;
        state.draining.store(true, Ordering::Release);
        if let Some(registered) = registered {
            registered.release().await;
        }
        if let Some(direct) = &direct {
            direct.stop_receiving();
        }
        // Calls may publish, and what is published needs its subscribers: in this order.
        if let Some(listener) = &listener {
            listener.drain(deadline).await;
        }
        let lost = if shared.broker { 0 } else { broker.close(deadline).await };
        match lost {
            0 => {}
            lost => tracing::warn!(
                lost,
                "messages were still waiting for a subscriber when time was up"
            ),
        }
        subscriptions.stop(deadline).await;
        if !shared.transport {
            for transport in transports {
                transport.close().await;
            }
        }
    }
}

/// What the process has in the registry. Dropped, it is taken out.
#[derive(Debug)]
pub(super) struct Registered {
    leases: Arc<Mutex<Vec<Lease>>>,
    _refreshing: Option<tasks::Owned>,
}

impl Registered {
    /// One record for each service.
    pub(super) fn instances(
        names: &[String],
        versions: &[u32],
        ids: &[InstanceId],
        addresses: &[Address],
    ) -> Vec<Instance> {
        let versions = versions.iter().copied().chain(std::iter::repeat(1));
        let records = names.iter().zip(ids).zip(versions);
        let record = |((name, id), version): ((&String, &InstanceId), u32)| Instance {
            id: id.clone(),
            service: name.clone(),
            version,
            addresses: addresses.to_vec(),
            metadata: [("pid".to_owned(), std::process::id().to_string())].into(),
            subscriptions: Vec::new(),
        };
        records.map(record).collect()
    }

    /// Registers all; the first record carries what the process listens to, and follows its changes.
    pub(super) async fn start(
        registry: Arc<dyn Registry>,
        mut instances: Vec<Instance>,
        direct: Option<&DirectBroker>,
    ) -> Result<Self> {
        let mut listening = direct.map(DirectBroker::own_subscriptions);
        if let (Some(first), Some(listening)) = (instances.first_mut(), &mut listening) {
            first.subscriptions = listening.borrow_and_update().clone();
        }
        let mut leases = Vec::new();
        for instance in &instances {
            let lease = registry.register(instance.clone()).await;
            leases.push(lease.map_err(|e| Status::of_cause(Code::Unavailable, &e))?);
        }
        let leases = Arc::new(Mutex::new(leases));
        let refreshing = listening.zip(instances.into_iter().next()).map(|(listening, first)| {
            tasks::Owned::spawn(refresh(registry, first, listening, Arc::clone(&leases)))
        });
        Ok(Self { leases, _refreshing: refreshing })
    }

    async fn release(self) {
        drop(self._refreshing);
        let leases = std::mem::take(&mut *lock(&self.leases));
        for lease in leases {
            if let Err(error) = lease.release().await {
                tracing::warn!(%error, "cannot leave the registry");
            }
        }
    }
}

/// Registers the record again whenever what the process listens to changes.
async fn refresh(
    registry: Arc<dyn Registry>,
    mut instance: Instance,
    mut listening: tokio::sync::watch::Receiver<Vec<Listening>>,
    leases: Arc<Mutex<Vec<Lease>>>,
) {
    while listening.changed().await.is_ok() {
        instance.subscriptions = listening.borrow_and_update().clone();
        match registry.register(instance.clone()).await {
            Ok(lease) => {
                if let Some(first) = lock(&leases).first_mut() {
                    *first = lease;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot register a new subscription"),
        }
    }
}

/// What is served and where, for the person who started it.
impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { settings, descriptors, listener, .. } = &self.0;
        for service in descriptors {
            let methods: Vec<_> = service.methods.iter().map(|m| m.name).collect();
            let topics: Vec<_> = service.subscriptions.iter().map(|s| s.pattern).collect();
            write!(f, "{:<16} {}", service.name, methods.join(", "))?;
            if !topics.is_empty() {
                write!(f, "  <- {}", topics.join(", "))?;
            }
            writeln!(f)?;
        }
        if let Some(listener) = listener {
            let Settings { registry, broker, .. } = settings;
            let addresses: Vec<_> = listener.addresses().iter().map(Address::to_string).collect();
            let addresses = addresses.join(", ");
            writeln!(f, "listening on {addresses}  (registry {registry}, broker {broker})")?;
        }
        Ok(())
    }
}

/// SIGTERM and Ctrl-C. None that comes after it was made is missed, whether somebody waits or not.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    kinds: [Option<tokio::signal::unix::Signal>; 2],
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // Fails only where there are no signals; then the process runs until it is killed.
        Self { kinds: [SignalKind::terminate(), SignalKind::interrupt()].map(|k| signal(k).ok()) }
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> Self {
        Self {}
    }

    /// The next one.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let came = |kind: &mut Option<tokio::signal::unix::Signal>| {
                kind.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready())
            };
            // Both are asked, so that both wake.
            match self.kinds.iter_mut().map(came).fold(false, |one, other| one | other) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }

    /// The next one.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
