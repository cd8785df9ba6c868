//! What every registry does.
//!
//! `registry_conformance!(name: fixture)` makes a module with a test per behaviour.

#![expect(missing_docs, reason = "the name of a case says what it checks")]

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use micro_core::id::Id;
use micro_core::registry::{
    Instance, InstanceId, Lease, Listening, Registry, RegistryError, Update, Updates,
};
use micro_core::topic::Pattern;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Makes a module of tests for a backend; attributes such as `#[ignore = ".."]` go to each of them.
#[macro_export]
macro_rules! registry_conformance {
    ($(#[$attribute:meta])* $backend:ident: $fixture:expr) => {
        $crate::registry_conformance! {
            @all [$(#[$attribute])*] $backend, $fixture,
            an_earlier_lease_does_not_end_a_later_one,
            an_instance_over_a_limit_is_refused,
            changes_are_seen_by_every_watcher,
            deregistering_one_keeps_the_other,
            deregistering_the_last_leaves_nothing,
            fifty_registrations_at_once_are_all_found,
            lease_drop_deregisters,
            lease_release_deregisters,
            list_shows_every_service_once,
            lookup_does_not_mix_services_with_similar_names,
            registered_instance_is_found_whole,
            registering_again_refreshes_the_record,
            registering_again_under_another_service_moves_the_instance,
            slow_watcher_is_up_to_date_in_few_steps,
            strange_and_long_names_are_found,
            two_versions_are_both_found,
            unknown_service_is_empty_and_not_an_error,
            watch_begins_with_a_reset,
            watch_can_be_polled_and_dropped_without_loss,
            watch_of_all_sees_every_service,
            watch_of_one_service_sees_nothing_else,
            watch_tells_of_creation_update_and_removal,
            what_is_registered_is_found_here_at_once,
        }
    };
    (@all $attributes:tt $backend:ident, $fixture:expr, $($case:ident,)*) => {
        mod $backend {
            #[allow(unused_imports, reason = "a fixture may need nothing")]
            use super::*;

            $($crate::registry_conformance! { @one $attributes $fixture, $case })*
        }
    };
    (@one [$($attributes:tt)*] $fixture:expr, $case:ident) => {
        #[tokio::test]
        $($attributes)*
        async fn $case() {
            $crate::conformance::registry::$case($fixture).await
        }
    };
}

/// A way to open handles of one registry that see each other, as processes do.
pub struct Fixture {
    open: Box<dyn Fn() -> Arc<dyn Registry>>,
    _kept: Box<dyn Any>,
}

impl Fixture {
    /// Handles are made by `open`.
    pub fn new(open: impl Fn() -> Arc<dyn Registry> + 'static) -> Self {
        Self { open: Box::new(open), _kept: Box::new(()) }
    }

    /// Keeps a value, e.g. a directory, until the test has ended.
    #[must_use]
    pub fn keeping(self, value: impl Any) -> Self {
        Self { _kept: Box::new(value), ..self }
    }

    /// A new handle.
    pub fn open(&self) -> Arc<dyn Registry> {
        (self.open)()
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fixture")
    }
}

/// No backend takes longer than this to tell others. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A name that no other test uses, since a backend may be one server for all.
fn unique(name: &str) -> String {
    format!("{name}-{}", Id::random())
}

fn instance(service: &str) -> Instance {
    Instance {
        id: InstanceId::random(),
        service: service.to_owned(),
        version: 1,
        addresses: vec!["quic://127.0.0.1:4433".parse().expect("address")],
        metadata: BTreeMap::new(),
        subscriptions: Vec::new(),
    }
}

async fn register(registry: &Arc<dyn Registry>, instance: &Instance) -> Lease {
    registry.register(instance.clone()).await.expect("registered")
}

async fn watch(registry: &Arc<dyn Registry>, service: Option<&str>) -> Updates {
    registry.watch(service).await.expect("watched")
}

async fn next(updates: &mut Updates) -> Update {
    let next = timeout(PATIENCE, updates.next()).await;
    next.expect("an update in time").expect("the registry is still there")
}

/// Waits until `registry` finds exactly these instances of `service`.
///
/// One that is immediate has no time for it.
async fn found(registry: &Arc<dyn Registry>, service: &str, mut expected: Vec<Instance>) {
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    if !registry.capabilities().immediate {
        let mut updates = watch(registry, Some(service)).await;
        let mut view = View::default();
        view.apply(next(&mut updates).await);
        while view.instances() != expected {
            view.apply(next(&mut updates).await);
        }
    }
    let looked_up = registry.lookup(service).await.expect("looked up");
    assert_eq!(looked_up, expected, "ordered by id");
}

/// What a watcher knows.
#[derive(Default)]
struct View(BTreeMap<InstanceId, Instance>);

impl View {
    fn apply(&mut self, update: Update) {
        match update {
            Update::Reset(all) => self.0 = all.into_iter().map(|i| (i.id.clone(), i)).collect(),
            Update::Add(instance) => drop(self.0.insert(instance.id.clone(), instance)),
            Update::Remove(id) => drop(self.0.remove(&id)),
        }
    }

    fn instances(&self) -> Vec<Instance> {
        self.0.values().cloned().collect()
    }
}

pub async fn registered_instance_is_found_whole(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let mut whole = instance(&service);
    whole.version = 7;
    whole.addresses.push("tls://[::1]:4434".parse().expect("address"));
    whole.subscriptions = vec![
        Listening {
            pattern: Pattern::parse("orders.*").expect("pattern"),
            group: service.clone(),
            broadcast: false,
        },
        Listening {
            pattern: Pattern::parse("prices.>").expect("pattern"),
            group: "cache".to_owned(),
            broadcast: true,
        },
    ];
    whole.metadata.insert("zone".to_owned(), "eu \"west\"\nä".to_owned());
    let lease = register(&here, &whole).await;
    assert_eq!(*lease.id(), whole.id);
    if !here.capabilities().metadata {
        whole.metadata.clear();
    }
    found(&there, &service, vec![whole]).await;
}

pub async fn what_is_registered_is_found_here_at_once(fixture: Fixture) {
    let here = fixture.open();
    let service = unique("orders");
    let instance = instance(&service);
    let lease = register(&here, &instance).await;
    assert_eq!(here.lookup(&service).await.expect("looked up"), [instance]);
    lease.release().await.expect("released");
    assert_eq!(here.lookup(&service).await.expect("looked up"), []);
}

pub async fn unknown_service_is_empty_and_not_an_error(fixture: Fixture) {
    let here = fixture.open();
    let _other = register(&here, &instance(&unique("orders"))).await;
    assert_eq!(here.lookup(&unique("nobody")).await.expect("looked up"), []);
    assert_eq!(here.lookup("No Name At All/../").await.expect("looked up"), []);
}

pub async fn two_versions_are_both_found(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let old = instance(&service);
    let new = Instance { version: 2, ..instance(&service) };
    let _leases = [register(&here, &old).await, register(&there, &new).await];
    found(&here, &service, vec![old.clone(), new.clone()]).await;
    found(&there, &service, vec![old, new]).await;
}

pub async fn deregistering_one_keeps_the_other(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let (one, two) = (instance(&service), instance(&service));
    let first = register(&here, &one).await;
    let _second = register(&here, &two).await;
    found(&there, &service, vec![one, two.clone()]).await;
    first.release().await.expect("released");
    found(&there, &service, vec![two]).await;
}

pub async fn deregistering_the_last_leaves_nothing(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let (one, two) = (instance(&service), instance(&service));
    let leases = [register(&here, &one).await, register(&there, &two).await];
    found(&here, &service, vec![one, two]).await;
    for lease in leases {
        lease.release().await.expect("released");
    }
    found(&here, &service, Vec::new()).await;
    found(&there, &service, Vec::new()).await;
}

pub async fn lease_drop_deregisters(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let instance = instance(&service);
    let lease = register(&here, &instance).await;
    found(&there, &service, vec![instance]).await;
    drop(lease);
    found(&there, &service, Vec::new()).await;
}

pub async fn lease_release_deregisters(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let instance = instance(&service);
    let lease = register(&here, &instance).await;
    // The lease holds the registration, not the handle that made it.
    drop(here);
    found(&there, &service, vec![instance]).await;
    lease.release().await.expect("released");
    found(&there, &service, Vec::new()).await;
}

pub async fn an_earlier_lease_does_not_end_a_later_one(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let old = instance(&service);
    let new = Instance { version: 2, ..old.clone() };
    let earlier = register(&here, &old).await;
    let later = register(&here, &new).await;
    earlier.release().await.expect("released");
    assert_eq!(here.lookup(&service).await.expect("looked up"), std::slice::from_ref(&new));
    found(&there, &service, vec![new.clone()]).await;
    later.release().await.expect("released");
    found(&there, &service, Vec::new()).await;
    let _again = register(&here, &new).await;
    found(&there, &service, vec![new]).await;
}

pub async fn registering_again_refreshes_the_record(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let mut instance = instance(&service);
    let _first = register(&here, &instance).await;
    found(&there, &service, vec![instance.clone()]).await;
    instance.version = 2;
    instance.addresses.push("quic://127.0.0.1:4434".parse().expect("address"));
    if here.capabilities().metadata {
        instance.metadata.insert("zone".to_owned(), "b".to_owned());
    }
    let _second = register(&here, &instance).await;
    found(&there, &service, vec![instance]).await;
}

pub async fn registering_again_under_another_service_moves_the_instance(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let (from, to) = (unique("orders"), unique("orders"));
    let old = instance(&from);
    let new = Instance { service: to.clone(), ..old.clone() };
    let _first = register(&here, &old).await;
    found(&there, &from, vec![old]).await;
    let _second = register(&here, &new).await;
    found(&there, &from, Vec::new()).await;
    found(&there, &to, vec![new]).await;
}

pub async fn list_shows_every_service_once(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let (a, b) = (unique("a"), unique("b"));
    let instances = [instance(&a), instance(&a), instance(&b)];
    let mut leases = Vec::new();
    for instance in &instances {
        leases.push(register(&here, instance).await);
        // Again, and it is still one.
        leases.push(register(&here, instance).await);
    }
    found(&there, &a, instances[..2].to_vec()).await;
    found(&there, &b, instances[2..].to_vec()).await;
    let all = there.list().await.expect("listed");
    let ours = all.iter().filter(|i| i.service == a || i.service == b).map(|i| &i.id);
    let ours: Vec<_> = ours.collect();
    let expected: BTreeSet<_> = instances.iter().map(|i| &i.id).collect();
    assert_eq!(ours.len(), 3, "each is listed once");
    assert_eq!(BTreeSet::from_iter(ours), expected);
}

pub async fn lookup_does_not_mix_services_with_similar_names(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let name = unique("orders");
    let names = [name.clone(), format!("{name}.eu"), format!("{name}-eu"), format!("{name}_"), {
        let mut shorter = name;
        shorter.pop();
        shorter
    }];
    let instances: Vec<_> = names.iter().map(|name| instance(name)).collect();
    let mut leases = Vec::new();
    for instance in &instances {
        leases.push(register(&here, instance).await);
    }
    for instance in instances {
        found(&there, &instance.service.clone(), vec![instance]).await;
    }
}

pub async fn strange_and_long_names_are_found(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let end = Id::random().to_string();
    let long = "l".repeat(128 - end.len());
    let mut leases = Vec::new();
    for start in ["..", ".", "-", "_.json", "a.b_c-d.lock", "con", &long] {
        let instance = Instance {
            id: InstanceId::parse(format!("-_{:->61}", end)).expect("the longest id"),
            ..instance(&format!("{start}{end}"))
        };
        leases.push(register(&here, &instance).await);
        found(&there, &instance.service.clone(), vec![instance]).await;
    }
}

pub async fn an_instance_over_a_limit_is_refused(fixture: Fixture) {
    let here = fixture.open();
    let service = unique("orders");
    let good = instance(&service);
    let mut bad = vec![
        Instance { service: String::new(), ..good.clone() },
        Instance { service: "../escape".to_owned(), ..good.clone() },
        Instance { service: "s".repeat(129), ..good.clone() },
    ];
    let pair = |i| (format!("key{i}"), "v".to_owned());
    let big = BTreeMap::from([("k".to_owned(), "x".repeat(Instance::MAX_BYTES))]);
    let many = (0..=Instance::MAX_METADATA).map(pair).collect();
    bad.extend([big, many].map(|metadata| Instance { metadata, ..good.clone() }));
    let listening = Listening {
        pattern: Pattern::parse("a.b").expect("pattern"),
        group: "g".to_owned(),
        broadcast: false,
    };
    bad.push(Instance {
        subscriptions: vec![listening; Instance::MAX_SUBSCRIPTIONS + 1],
        ..good.clone()
    });
    for bad in bad {
        let refused = here.register(bad).await;
        assert!(matches!(refused, Err(RegistryError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(here.lookup(&service).await.expect("looked up"), []);
    let _lease = register(&here, &good).await;
}

pub async fn fifty_registrations_at_once_are_all_found(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let instances: Vec<_> = (0..50).map(|_| instance(&service)).collect();
    let mut tasks = JoinSet::new();
    for (i, instance) in instances.iter().cloned().enumerate() {
        let registry = Arc::clone(if i % 2 == 0 { &here } else { &there });
        tasks.spawn(async move { registry.register(instance).await.expect("registered") });
    }
    let leases = tasks.join_all().await;
    found(&here, &service, instances.clone()).await;
    found(&there, &service, instances).await;
    let mut tasks = JoinSet::new();
    for lease in leases {
        tasks.spawn(async move { lease.release().await.expect("released") });
    }
    tasks.join_all().await;
    found(&here, &service, Vec::new()).await;
    found(&there, &service, Vec::new()).await;
}

pub async fn watch_begins_with_a_reset(fixture: Fixture) {
    let here = fixture.open();
    let service = unique("orders");
    let mut before = watch(&here, Some(&service)).await;
    assert_eq!(next(&mut before).await, Update::Reset(Vec::new()));
    let instance = instance(&service);
    let _lease = register(&here, &instance).await;
    let mut after = watch(&here, Some(&service)).await;
    assert_eq!(next(&mut after).await, Update::Reset(vec![instance]));
}

pub async fn watch_tells_of_creation_update_and_removal(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let mut updates = watch(&there, Some(&service)).await;
    assert_eq!(next(&mut updates).await, Update::Reset(Vec::new()));
    let instance = instance(&service);
    let _first = register(&here, &instance).await;
    assert_eq!(next(&mut updates).await, Update::Add(instance.clone()));
    let updated = Instance { version: 2, ..instance };
    let second = register(&here, &updated).await;
    assert_eq!(next(&mut updates).await, Update::Add(updated.clone()));
    drop(second);
    assert_eq!(next(&mut updates).await, Update::Remove(updated.id));
}

pub async fn watch_of_one_service_sees_nothing_else(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let (ours, other) = (unique("orders"), unique("orders"));
    let mut updates = watch(&there, Some(&ours)).await;
    assert_eq!(next(&mut updates).await, Update::Reset(Vec::new()));
    let _other = register(&here, &instance(&other)).await;
    drop(register(&here, &instance(&other)).await);
    let instance = instance(&ours);
    let _lease = register(&here, &instance).await;
    assert_eq!(next(&mut updates).await, Update::Add(instance));
}

pub async fn watch_of_all_sees_every_service(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let mut updates = watch(&there, None).await;
    let mut view = View::default();
    let instances = [instance(&unique("a")), instance(&unique("b")), instance(&unique("c"))];
    let mut leases = Vec::new();
    for instance in &instances {
        leases.push(register(&here, instance).await);
    }
    while !instances.iter().all(|instance| view.0.get(&instance.id) == Some(instance)) {
        view.apply(next(&mut updates).await);
    }
    drop(leases);
    while instances.iter().any(|instance| view.0.contains_key(&instance.id)) {
        view.apply(next(&mut updates).await);
    }
}

pub async fn changes_are_seen_by_every_watcher(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let mut all = Vec::new();
    for registry in [&here, &here, &there, &there] {
        let mut updates = watch(registry, Some(&service)).await;
        assert_eq!(next(&mut updates).await, Update::Reset(Vec::new()));
        all.push(updates);
    }
    // One that goes takes nothing from the others.
    drop(all.remove(0));
    let instance = instance(&service);
    let lease = register(&here, &instance).await;
    for updates in &mut all {
        assert_eq!(next(updates).await, Update::Add(instance.clone()));
    }
    drop(lease);
    for updates in &mut all {
        assert_eq!(next(updates).await, Update::Remove(instance.id.clone()));
    }
}

pub async fn watch_can_be_polled_and_dropped_without_loss(fixture: Fixture) {
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let mut updates = watch(&there, Some(&service)).await;
    let mut view = View::default();
    let mut leases = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..5 {
        let instance = instance(&service);
        leases.push(register(&here, &instance).await);
        expected.push(instance);
        // Dropped before or after something is there to be returned.
        while let Ok(Some(update)) = timeout(Duration::ZERO, updates.next()).await {
            view.apply(update);
        }
    }
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    while view.instances() != expected {
        view.apply(next(&mut updates).await);
    }
}

pub async fn slow_watcher_is_up_to_date_in_few_steps(fixture: Fixture) {
    const MANY: usize = 400;
    let (here, there) = (fixture.open(), fixture.open());
    let service = unique("orders");
    let mut slow = watch(&there, Some(&service)).await;
    assert_eq!(next(&mut slow).await, Update::Reset(Vec::new()));
    let mut leases = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..MANY {
        let instance = instance(&service);
        leases.push(register(&here, &instance).await);
        expected.push(instance);
    }
    found(&there, &service, expected.clone()).await;
    // Another watcher of the same handle has seen all of it, so it is all there for the slow one.
    let mut quick = watch(&there, Some(&service)).await;
    let mut view = View::default();
    while view.0.len() < MANY {
        view.apply(next(&mut quick).await);
    }
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(next(&mut slow).await, Update::Reset(expected), "a reset instead of a backlog");
}
