//! Session: a client of the services that the registry knows, for as long as one command runs.

use std::time::Duration;

use micro_core::app::{self, App, Running};
use micro_core::config::{Loaded, Settings};
use micro_core::describe::ServiceDescription;
use micro_core::registry::{Instance, Registry, RegistryError, Update};
use micro_core::{Client, Code, Executed, Id, Status};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::failure::Failure;
use crate::settings::NAME;

/// How long a service that nobody has registered may still come, as its own clients wait for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Instances that are asked to describe a service until one does.
const TRIES: usize = 3;
/// Instances that are asked at the same time: each is a connection.
const AT_ONCE: usize = 32;

/// What kind of process this is to others.
#[derive(Debug)]
pub(crate) struct Options {
    name: String,
    reachable: bool,
}

impl Options {
    /// One that only calls.
    pub(crate) fn client() -> Self {
        Self { name: NAME.to_owned(), reachable: false }
    }

    /// One that events are delivered to, under a name that no other process has.
    pub(crate) fn listener() -> Self {
        let id = Id::random().to_string();
        // The end of an id: the beginning is the same for all of one process.
        Self { name: format!("{NAME}-{}", &id[id.len() - 8..]), reachable: true }
    }
}

/// A client that is connected as needed.
#[derive(Debug)]
pub(crate) struct Session {
    running: Running,
    name: String,
}

impl Session {
    /// Sets the client up; nothing is connected yet.
    pub(crate) async fn start(loaded: Loaded, options: Options) -> Result<Self, Failure> {
        let Options { name, reachable } = options;
        let app = App::new().settings(own(loaded.settings, &name));
        let app = if reachable { app.reachable() } else { app };
        let running = app.start().await.map_err(|status| match status.code() {
            Code::FailedPrecondition | Code::InvalidArgument => Failure::Config(status),
            _ => Failure::Status(status),
        })?;
        Ok(Self { running, name })
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    pub(crate) fn client(&self) -> &Client {
        self.running.client()
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.running.settings()
    }

    /// Which service this process proves to be.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn registry(&self) -> &dyn Registry {
        &**self.client().resolver().registry()
    }

    /// All instances, by service.
    pub(crate) async fn instances(&self) -> Result<Vec<Instance>, Failure> {
        let mut found = self.registry().list().await.map_err(unavailable)?;
        found.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        Ok(found)
    }

    /// The instances of one service: at least one, which is waited for if it is just being started.
    pub(crate) async fn find(&self, service: &str) -> Result<Vec<Instance>, Failure> {
        let found = self.registry().lookup(service).await.map_err(unavailable)?;
        if !found.is_empty() {
            return Ok(found);
        }
        match timeout(PATIENCE, self.first(service)).await {
            Ok(first) => first,
            Err(_) => Err(self.unknown(service).await?),
        }
    }

    async fn first(&self, service: &str) -> Result<Vec<Instance>, Failure> {
        let mut updates = self.registry().watch(Some(service)).await.map_err(unavailable)?;
        while let Some(update) = updates.next().await {
            match update {
                Update::Add(instance) => return Ok(vec![instance]),
                Update::Reset(instances) if !instances.is_empty() => return Ok(instances),
                Update::Remove(_) | Update::Reset(_) => {}
            }
        }
        // The watch ended; the time that is left is for nothing else.
        std::future::pending().await
    }

    async fn unknown(&self, service: &str) -> Result<Failure, Failure> {
        let known = self.instances().await?.into_iter().map(|instance| instance.service);
        let mut known: Vec<String> = known.filter(|name| !is_listener(name)).collect();
        known.dedup();
        let registry = &self.settings().registry;
        let nothing = if known.is_empty() { "; it knows no services at all" } else { "" };
        Ok(Failure::NotFound {
            what: format!("no instance of `{service}` in the registry {registry}{nothing}"),
            wanted: service.to_owned(),
            known,
        })
    }

    /// What a service says about itself, by the first of its instances that answers.
    pub(crate) async fn describe(
        &self,
        service: &str,
        deadline: Instant,
    ) -> Result<ServiceDescription, Failure> {
        let instances = self.find(service).await?;
        let mut failed = None;
        for instance in instances.iter().take(TRIES) {
            let wait = deadline.saturating_duration_since(Instant::now());
            match app::describe(self.client(), instance, wait).await {
                Ok(all) => match all.into_iter().find(|found| found.name == service) {
                    Some(found) => return Ok(found),
                    None => failed = Some(silent(service)),
                },
                Err(status) => failed = Some(status),
            }
        }
        Err(failed.unwrap_or_else(|| silent(service)).into())
    }

    /// Asks every instance, some at a time; the answers come in the order of the instances.
    pub(crate) async fn ask_all<T, A>(
        &self,
        instances: &[Instance],
        ask: impl Fn(Client, Instance, Duration) -> A,
    ) -> Vec<Result<T, Status>>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let wait = self.settings().request_timeout;
        let mut answers: Vec<_> = instances.iter().map(|_| None).collect();
        let mut waiting = instances.iter().enumerate();
        let mut asking = JoinSet::new();
        loop {
            while asking.len() < AT_ONCE
                && let Some((i, instance)) = waiting.next()
            {
                let answer = ask(self.client().clone(), instance.clone(), wait);
                asking.spawn(async move { (i, answer.await) });
            }
            match asking.join_next().await {
                Some(Ok((i, answer))) => answers[i] = Some(answer),
                // Nothing here aborts or panics.
                Some(Err(_)) => {}
                None => break,
            }
        }
        let none = || Err(Status::unknown("no answer"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(none)).collect()
    }

    /// Ends what is under way and closes every connection, so that peers need not find out by themselves.
    pub(crate) async fn close(self) {
        self.running.shutdown().await;
    }
}

/// Whether a service is another `micro subscribe`, which serves nothing.
pub(crate) fn is_listener(service: &str) -> bool {
    service.strip_prefix(NAME).is_some_and(|rest| rest.starts_with('-'))
}

fn silent(service: &str) -> Status {
    Status::unavailable(format!("an instance of `{service}` does not say what it serves"))
        .with_executed(Executed::No)
}

/// The settings of a service, which may be the one in this directory, as this command uses them: it is
/// somebody else, and must not take the service's port.
fn own(settings: Settings, name: &str) -> Settings {
    let mut settings = settings;
    let host = settings.address.rsplit_once(':').map(|(host, _)| host.to_owned());
    settings.address = format!("{}:0", host.as_deref().unwrap_or("127.0.0.1"));
    settings.name = Some(name.to_owned());
    settings.advertise = None;
    settings.services = Vec::new();
    settings
}

fn unavailable(error: RegistryError) -> Failure {
    match error {
        RegistryError::Misconfigured { .. } | RegistryError::Invalid(_) => {
            Failure::Config(Status::failed_precondition(error.to_string()).with_source(error))
        }
        _ => Failure::Status(Status::unavailable(error.to_string()).with_source(error)),
    }
}

/// Returns when the user has had enough: Ctrl-C, or SIGTERM.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                Ok(()) = tokio::signal::ctrl_c() => return,
                else => {}
            }
        }
    }
    // Fails only where there are no signals.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_a_service_do_not_make_us_that_service() {
        let mut settings = Settings::default();
        settings.name = Some("orders".into());
        settings.address = "0.0.0.0:8080".into();
        settings.advertise = Some("orders.example:8080".into());
        settings.services = vec!["orders".into()];
        let ours = own(settings, "micro-cli-1");
        assert_eq!(ours.name.as_deref(), Some("micro-cli-1"));
        assert_eq!(ours.address, "0.0.0.0:0");
        assert_eq!(ours.advertise, None);
        assert!(ours.services.is_empty());
    }

    #[test]
    fn listeners_have_names_of_their_own() {
        let (a, b) = (Options::listener(), Options::listener());
        assert_ne!(a.name, b.name);
        assert!(is_listener(&a.name) && !is_listener(NAME) && !is_listener("micro-clinic"));
        assert!(micro_core::text::is_name(&a.name));
    }
}
