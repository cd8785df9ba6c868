//! Starting: each part after the ones that it needs, the registry last, so that nobody calls what is not
//! ready.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

use super::builtin::{self, Builtin};
use super::courier::ClientCourier;
use super::main;
use super::running::{Parts, Registered, Running, Shared};
use super::subscriptions::Subscriptions;
use super::{App, Services, loaded, registrations};
use crate::backends::{self, BrokerKind, Transports};
use crate::balance::PowerOfTwo;
use crate::broker::Broker;
use crate::broker::direct::DirectBroker;
use crate::broker::memory::MemoryBroker;
use crate::client::{Client, Resolver, Timeouts};
use crate::config::Settings;
use crate::context::TypeMap;
use crate::handler::{Registration, Service};
use crate::inject::{Injector, Sections};
use crate::interceptor::{Chain, Interceptor};
use crate::publisher::Publisher;
use crate::registry::{InstanceId, Registry};
use crate::router::Router;
use crate::server::Server;
use crate::service::ServiceDescriptor;
use crate::status::{Result, Status};
use crate::transport::{Address, Dispatch, Transport};
use crate::{check, text};

pub(super) async fn start(app: App) -> Result<Running> {
    let App {
        services,
        ready,
        interceptors,
        calls,
        values,
        settings,
        registry,
        broker,
        transport,
        reachable,
    } = app;
    let settings = match settings {
        Some(settings) => settings,
        None => loaded()?.settings,
    };
    settings.validate()?;
    let plan = Plan::new(services, ready, &settings)?;
    let descriptors = plan.descriptors.clone();
    let given = Shared { broker: broker.is_some(), transport: transport.is_some() };
    let parts = Network::new(&settings, &plan, registry, broker, transport, calls)?;
    let (server, state) = serve(plan, &settings, &parts, interceptors, values).await?;

    let listener = match reachable || !descriptors.is_empty() {
        true => Some(listen(&settings, &*parts.transports.listening, server.clone()).await?),
        false => None,
    };
    let Network { names, ids, registry, transports, client, publisher, broker, direct } = parts;
    let subscriptions = Subscriptions::start(&server, &broker).await?;
    let registered = match &listener {
        Some(listener) => {
            let addresses = listener.addresses().into_iter();
            let addresses: Vec<_> = addresses.map(|a| advertised(&settings, a)).collect();
            let versions: Vec<u32> = descriptors.iter().map(|d| d.version).collect();
            let instances = Registered::instances(&names, &versions, &ids, &addresses);
            Some(Registered::start(registry, instances, direct.as_ref()).await?)
        }
        None => None,
    };
    Ok(Running::new(Parts {
        settings,
        descriptors,
        client,
        transports: transports.calling,
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

/// What this process serves, checked.
struct Plan {
    /// To be made by the app.
    wanted: Vec<Registration>,
    /// Made already.
    ready: Vec<Arc<dyn Service>>,
    descriptors: Vec<&'static ServiceDescriptor>,
    /// Who the process is when it calls others.
    own: String,
    /// Who it is when it is called.
    names: Vec<String>,
}

impl Plan {
    fn new(services: Services, ready: Vec<Arc<dyn Service>>, settings: &Settings) -> Result<Self> {
        let wanted = match services {
            Services::Linked => chosen(linked()?, settings)?,
            Services::None => Vec::new(),
        };
        let linked = wanted.iter().map(|registration| registration.descriptor);
        let descriptors: Vec<_> = linked.chain(ready.iter().map(|s| s.descriptor())).collect();
        check_all(&descriptors)?;
        let own = own_name(settings, &descriptors);
        let names = match descriptors.is_empty() {
            true => vec![own.clone()],
            false => descriptors.iter().map(|d| d.name.to_owned()).collect(),
        };
        Ok(Self { wanted, ready, descriptors, own, names })
    }
}

/// What connects this process with others.
struct Network {
    names: Vec<String>,
    ids: Vec<InstanceId>,
    registry: Arc<dyn Registry>,
    transports: Transports,
    client: Client,
    publisher: Publisher,
    broker: Arc<dyn Broker>,
    direct: Option<DirectBroker>,
}

impl Network {
    fn new(
        settings: &Settings,
        plan: &Plan,
        registry: Option<Arc<dyn Registry>>,
        given: Option<Arc<dyn Broker>>,
        transport: Option<Arc<dyn Transport>>,
        calls: Vec<Arc<dyn Interceptor>>,
    ) -> Result<Self> {
        let registry = match registry {
            Some(registry) => registry,
            None => backends::registry(&settings.registry)?,
        };
        let transports = match transport {
            Some(transport) => Transports::one(transport),
            None => {
                let opened = Transports::open(settings, &plan.own, &plan.names)?;
                opened.calling.iter().for_each(main::closes);
                opened
            }
        };
        let client = client(settings, &registry, &transports.calling, calls);
        let ids: Vec<InstanceId> = plan.names.iter().map(|_| InstanceId::random()).collect();
        let (broker, direct) = broker(given, settings, &registry, &client, &ids)?;
        let publisher = Publisher::new(Arc::clone(&broker));
        let names = plan.names.clone();
        Ok(Self { names, ids, registry, transports, client, publisher, broker, direct })
    }
}

/// Makes the services and what serves them.
async fn serve(
    plan: Plan,
    settings: &Settings,
    parts: &Network,
    interceptors: Vec<Arc<dyn Interceptor>>,
    values: TypeMap,
) -> Result<(Server, Arc<builtin::State>)> {
    let injector = Injector {
        client: parts.client.clone(),
        publisher: parts.publisher.clone(),
        sections: Arc::new(Sections::new(settings.app.clone())),
        values: Arc::new(values),
    };
    let mut router = Router::default();
    for registration in &plan.wanted {
        router.add(build(registration, &injector).await?, &interceptors)?;
    }
    for service in plan.ready {
        router.add(service, &interceptors)?;
    }
    let state = Arc::new(builtin::State {
        draining: AtomicBool::new(false),
        started: Instant::now(),
        running: std::sync::OnceLock::new(),
    });
    let (services, shared) = (plan.descriptors, Arc::clone(&state));
    let direct = parts.direct.clone();
    router.add(Arc::new(Builtin { services, state: shared, direct }), &[])?;
    let mut shared = TypeMap::default();
    shared.insert(parts.publisher.clone());
    let server = Server::new(router, Arc::new(shared), settings.max_in_flight);
    // Set once, here.
    let _ = state.running.set(server.clone());
    Ok((server, state))
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

fn client(
    settings: &Settings,
    registry: &Arc<dyn Registry>,
    transports: &[Arc<dyn Transport>],
    interceptors: Vec<Arc<dyn Interceptor>>,
) -> Client {
    let resolver = Resolver::new(Arc::clone(registry), transports.to_vec(), PowerOfTwo);
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
    let authority = settings.address.split_once("://").map_or(&*settings.address, |(_, at)| at);
    let address = Address::new(transport.scheme(), authority);
    let dispatch: Arc<dyn Dispatch> = Arc::new(server);
    transport.listen(&address, dispatch).await
}

fn advertised(settings: &Settings, listening: Address) -> Address {
    match &settings.advertise {
        Some(authority) => Address::new(listening.scheme(), authority),
        None => listening,
    }
}
