//! Starting: each part after the ones that it needs, the registry last, so that nobody calls what is not
//! ready.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

use super::builtin::{self, Builtin};
use super::courier::ClientCourier;
use super::main;
use super::running::{Parts, Registered, Running, Shared};
use super::subscriptions::Subscriptions;
use super::{App, Services, loaded, registrations};
use crate::backends::{self, BrokerKind, TransportKind};
use crate::balance::PowerOfTwo;
use crate::broker::Broker;
use crate::broker::direct::DirectBroker;
use crate::broker::memory::MemoryBroker;
use crate::client::{Client, Resolver, Timeouts};
use crate::config::Settings;
use crate::context::TypeMap;
use crate::handler::{Registration, Service};
use crate::identity::{DevCa, IdentitySource};
use crate::inject::{Injector, Sections};
use crate::interceptor::Chain;
use crate::publisher::Publisher;
use crate::registry::{InstanceId, Registry};
use crate::router::Router;
use crate::server::Server;
use crate::service::ServiceDescriptor;
use crate::status::{Code, Result, Status};
use crate::transport::memory::Memory;
use crate::transport::quic::Quic;
use crate::transport::{Address, Dispatch, Transport};
use crate::{check, home, text};

pub(super) async fn start(app: App) -> Result<Running> {
    let settings = match app.settings.clone() {
        Some(settings) => settings,
        None => loaded()?.settings,
    };
    settings.validate()?;
    let wanted = match app.services {
        Services::Linked => chosen(linked()?, &settings)?,
        Services::None => Vec::new(),
    };
    let descriptors: Vec<&'static ServiceDescriptor> = wanted
        .iter()
        .map(|registration| registration.descriptor)
        .chain(app.ready.iter().map(|service| service.descriptor()))
        .collect();
    check_all(&descriptors)?;

    let own = own_name(&settings, &descriptors);
    let names = descriptors.iter().map(|d| d.name.to_owned());
    let names: Vec<String> =
        if descriptors.is_empty() { vec![own.clone()] } else { names.collect() };
    let registry = match app.registry {
        Some(registry) => registry,
        None => backends::registry(&settings.registry)?,
    };
    let given = Shared { broker: app.broker.is_some(), transport: app.transport.is_some() };
    let transport = match app.transport {
        Some(transport) => transport,
        None => transport(&settings, &own, &names)?,
    };
    if !given.transport {
        main::closes(&transport);
    }
    let client = client(&settings, &registry, &transport, app.calls);
    let ids: Vec<InstanceId> = names.iter().map(|_| InstanceId::random()).collect();
    let (broker, direct) = broker(app.broker, &settings, &registry, &client, &ids)?;
    let publisher = Publisher::new(Arc::clone(&broker));
    let injector = Injector {
        client: client.clone(),
        publisher: publisher.clone(),
        sections: Arc::new(Sections::new(settings.app.clone())),
        values: Arc::new(app.values),
    };

    let mut router = Router::default();
    for registration in &wanted {
        router.add(build(registration, &injector).await?, &app.interceptors)?;
    }
    for service in app.ready {
        router.add(service, &app.interceptors)?;
    }
    let state = Arc::new(builtin::State {
        draining: AtomicBool::new(false),
        started: Instant::now(),
        running: std::sync::OnceLock::new(),
    });
    let (services, shared) = (descriptors.clone(), Arc::clone(&state));
    router.add(Arc::new(Builtin { services, state: shared, direct: direct.clone() }), &[])?;
    let mut shared = TypeMap::default();
    shared.insert(publisher.clone());
    let server = Server::new(router, Arc::new(shared), settings.max_in_flight);
    // Set once, here.
    let _ = state.running.set(server.clone());

    let serves = app.reachable || !descriptors.is_empty();
    let listener = match serves {
        true => Some(listen(&settings, &*transport, server.clone()).await?),
        false => None,
    };
    let subscriptions = Subscriptions::start(&server, &broker).await?;
    let registered = match &listener {
        Some(listener) => {
            let address = advertised(&settings, listener.address());
            let versions: Vec<u32> = descriptors.iter().map(|d| d.version).collect();
            let instances = Registered::instances(&names, &versions, &ids, &address);
            Some(Registered::start(registry, instances, direct.as_ref()).await?)
        }
        None => None,
    };
    Ok(Running::new(Parts {
        settings,
        descriptors,
        client,
        transport,
        publisher,
        broker,
        direct,
        shared: given,
        subscriptions,
        registered,
        listener,
        state,
    }))
}

/// The registrations of this program: at least one, or it would serve nothing.
fn linked() -> Result<Vec<Registration>> {
    let all = registrations();
    if all.is_empty() {
        return Err(Status::failed_precondition(
            "no service is linked into this program\n  help: a crate that is named only in Cargo.toml \
             is not linked: write `use my_services as _;`, or list its services in `#[micro::main(services(..))]`",
        ));
    }
    Ok(all)
}

/// The registrations that the settings choose.
fn chosen(all: Vec<Registration>, settings: &Settings) -> Result<Vec<Registration>> {
    let known = || all.iter().map(|registration| registration.descriptor.name);
    for name in &settings.services {
        if known().all(|known| known != name) {
            let hint = text::did_you_mean(name, known());
            let linked = known().collect::<Vec<_>>().join(", ");
            return Err(Status::invalid_argument(format!(
                "`services` names `{name}`, which is not linked into this program{hint} (linked: {linked})"
            )));
        }
    }
    let is_chosen = |name: &str| {
        settings.services.is_empty() || settings.services.iter().any(|chosen| chosen == name)
    };
    Ok(all.into_iter().filter(|registration| is_chosen(registration.descriptor.name)).collect())
}

/// Everything that is wrong with the services, at once.
fn check_all(descriptors: &[&'static ServiceDescriptor]) -> Result<()> {
    let findings = check::findings(descriptors);
    match findings.len() {
        0 => Ok(()),
        count => Err(Status::failed_precondition(format!(
            "{count} mistakes in the services of this program:\n- {}",
            findings.join("\n- ")
        ))),
    }
}

/// Who this process is when it calls others.
fn own_name(settings: &Settings, descriptors: &[&ServiceDescriptor]) -> String {
    if let Some(name) = &settings.name {
        return name.clone();
    }
    match descriptors.first() {
        Some(descriptor) => descriptor.name.to_owned(),
        None => "client".to_owned(),
    }
}

fn transport(settings: &Settings, own: &str, names: &[String]) -> Result<Arc<dyn Transport>> {
    Ok(match backends::transport(&settings.transport)? {
        TransportKind::Memory => Arc::new(Memory::default().calling_as(own)),
        TransportKind::Quic => {
            let wrong =
                |error: &(dyn Error + 'static)| Status::of_cause(Code::FailedPrecondition, error);
            let state = home::state_dir().map_err(|error| wrong(&error))?;
            let ca = DevCa::open(&state).map_err(|error| wrong(&error))?;
            let source: Arc<dyn IdentitySource> = Arc::new(ca);
            Arc::new(Quic::new(source, own, names.to_vec()))
        }
    })
}

fn client(
    settings: &Settings,
    registry: &Arc<dyn Registry>,
    transport: &Arc<dyn Transport>,
    interceptors: Vec<Arc<dyn crate::interceptor::Interceptor>>,
) -> Client {
    let resolver = Resolver::new(Arc::clone(registry), [Arc::clone(transport)], PowerOfTwo);
    let timeouts = Timeouts {
        unary: settings.request_timeout,
        stream: settings.stream_timeout,
        ..Timeouts::default()
    };
    Client::new(resolver, Chain::new(interceptors), timeouts)
}

fn broker(
    given: Option<Arc<dyn Broker>>,
    settings: &Settings,
    registry: &Arc<dyn Registry>,
    client: &Client,
    ids: &[InstanceId],
) -> Result<(Arc<dyn Broker>, Option<DirectBroker>)> {
    if let Some(broker) = given {
        return Ok((broker, None));
    }
    Ok(match backends::broker(&settings.broker)? {
        BrokerKind::Memory => (Arc::new(MemoryBroker::new()), None),
        BrokerKind::Direct => {
            let courier = Arc::new(ClientCourier(client.clone()));
            let registry = Arc::clone(registry);
            let direct = DirectBroker::new(ids.to_vec(), registry, courier)
                .map_err(|error| error.into_status())?;
            (Arc::new(direct.clone()), Some(direct))
        }
    })
}

async fn build(registration: &Registration, injector: &Injector) -> Result<Arc<dyn Service>> {
    (registration.build)(injector).await.map_err(|status| {
        let name = registration.descriptor.name;
        tracing::error!(service = name, error = ?status, "cannot make the service");
        status
    })
}

async fn listen(
    settings: &Settings,
    transport: &dyn Transport,
    server: Server,
) -> Result<Box<dyn crate::transport::Listener>> {
    let address = Address::new(transport.scheme(), &settings.address);
    let dispatch: Arc<dyn Dispatch> = Arc::new(server);
    transport.listen(&address, dispatch).await
}

fn advertised(settings: &Settings, listening: Address) -> Address {
    match &settings.advertise {
        Some(authority) => Address::new(listening.scheme(), authority),
        None => listening,
    }
}
