//! The table behind a backend: the instances that it knows, and those who watch them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant as Time;

use super::{Instance, InstanceId, MAX_INSTANCES, MAX_INSTANCES_PER_SERVICE, RegistryError};
use crate::sync::lock;

/// A change of what a registry knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Update {
    /// All that there is. The first update is one, and so is the one after a pause.
    Reset(Vec<Instance>),
    /// A new instance, or a new record of one that was there.
    Add(Instance),
    /// An instance that is gone.
    Remove(InstanceId),
}

/// The instances that a backend knows, and their watchers: what most backends are made of.
///
/// Changes are kept in one short log for all watchers, so that a watcher costs no memory by being slow:
/// one that falls behind the log begins again with [`Update::Reset`].
#[derive(Debug)]
pub struct Table {
    shared: Arc<Shared>,
    // Only says that there is something new; it closes, and with it the watchers, when the table goes.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    services: BTreeMap<String, BTreeMap<InstanceId, Arc<Instance>>>,
    /// The service of each instance.
    index: HashMap<InstanceId, String>,
    /// Counts changes; the last of `log` has this number.
    version: u64,
    log: VecDeque<Change>,
}

#[derive(Clone)]
enum Change {
    Add(Arc<Instance>),
    Remove(InstanceId, String),
}

/// Changes that a watcher may be behind before it gets a reset.
const LOG: usize = 256;

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self { shared: Arc::default(), version: watch::Sender::new(0) }
    }

    /// Adds `instance`, or replaces what is known about it. The same again is not a change.
    ///
    /// # Errors
    /// [`RegistryError::Full`] at [`MAX_INSTANCES`] or [`MAX_INSTANCES_PER_SERVICE`].
    pub fn put(&self, instance: Instance) -> Result<(), RegistryError> {
        self.change(|state| state.put(Arc::new(instance)))
    }

    /// Takes an instance out, and says whether there was one.
    pub fn remove(&self, id: &InstanceId) -> bool {
        self.change(|state| state.remove(id))
    }

    /// Makes the table hold `instances` and nothing else. Watchers see the differences only.
    ///
    /// Those over a limit are left out; the answer says how many.
    pub fn update(&self, instances: Vec<Arc<Instance>>) -> usize {
        self.change(|state| state.update(instances))
    }

    /// Like [`Table::update`] after a time in which changes may have been missed: watchers see a
    /// [`Update::Reset`].
    pub fn reset(&self, instances: Vec<Arc<Instance>>) -> usize {
        self.change(|state| {
            let ignored = state.update(instances);
            // An empty log behind a new version is behind every watcher.
            state.version += 1;
            state.log.clear();
            ignored
        })
    }

    /// The instances of `service`.
    pub fn lookup(&self, service: &str) -> Vec<Instance> {
        lock(&self.shared.0).instances(Some(service))
    }

    /// All instances.
    pub fn list(&self) -> Vec<Instance> {
        lock(&self.shared.0).instances(None)
    }

    /// What changes about `service`, or about all.
    pub fn watch(&self, service: Option<&str>) -> Updates {
        Updates {
            shared: self.shared.clone(),
            changed: self.version.subscribe(),
            service: service.map(str::to_owned),
            seen: None,
        }
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.version.receiver_count()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.shared.0);
        let before = state.version;
        let outcome = change(&mut state);
        let after = state.version;
        drop(state);
        if after != before {
            self.version.send_replace(after);
        }
        outcome
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn put(&mut self, instance: Arc<Instance>) -> Result<(), RegistryError> {
        let old_service = self.index.get(&instance.id);
        let moves = old_service != Some(&instance.service);
        let of_service = self.services.get(&instance.service);
        if moves {
            if of_service.map_or(0, BTreeMap::len) >= MAX_INSTANCES_PER_SERVICE {
                return Err(RegistryError::Full(format!(
                    "`{}` has {MAX_INSTANCES_PER_SERVICE} instances",
                    instance.service
                )));
            }
            if old_service.is_none() && self.index.len() >= MAX_INSTANCES {
                return Err(RegistryError::Full(format!("it holds {MAX_INSTANCES} instances")));
            }
            // To those who watch its old service it is gone.
            self.remove(&instance.id.clone());
        } else if of_service.and_then(|s| s.get(&instance.id)).is_some_and(|old| *old == instance) {
            return Ok(());
        }
        self.index.insert(instance.id.clone(), instance.service.clone());
        self.services
            .entry(instance.service.clone())
            .or_default()
            .insert(instance.id.clone(), instance.clone());
        self.note(Change::Add(instance));
        Ok(())
    }

    fn remove(&mut self, id: &InstanceId) -> bool {
        let Some(service) = self.index.remove(id) else {
            return false;
        };
        if let Some(instances) = self.services.get_mut(&service) {
            instances.remove(id);
            if instances.is_empty() {
                self.services.remove(&service);
            }
        }
        self.note(Change::Remove(id.clone(), service));
        true
    }

    fn update(&mut self, instances: Vec<Arc<Instance>>) -> usize {
        let kept: std::collections::HashSet<_> = instances.iter().map(|i| i.id.clone()).collect();
        let gone: Vec<_> = self.index.keys().filter(|id| !kept.contains(*id)).cloned().collect();
        for id in gone {
            self.remove(&id);
        }
        instances.into_iter().filter(|instance| self.put(instance.clone()).is_err()).count()
    }

    fn note(&mut self, change: Change) {
        self.version += 1;
        self.log.push_back(change);
        if self.log.len() > LOG {
            self.log.pop_front();
        }
    }

    fn instances(&self, service: Option<&str>) -> Vec<Instance> {
        let whole = |instances: &BTreeMap<_, Arc<Instance>>| -> Vec<Instance> {
            instances.values().map(|instance| Instance::clone(instance)).collect()
        };
        match service {
            Some(service) => self.services.get(service).map(whole).unwrap_or_default(),
            None => self.services.values().flat_map(whole).collect(),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("instances", &self.index.len())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The changes of one service, or of all, as they happen.
#[derive(Debug)]
pub struct Updates {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    service: Option<String>,
    /// The number of the last change that was looked at; none before the first reset.
    seen: Option<u64>,
}

impl Updates {
    /// The next change; the first is an [`Update::Reset`]. `None` when the registry is gone.
    ///
    /// Cancel safe: a change is lost only by being returned.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            if let Some(update) = self.ready() {
                return Some(update);
            }
            self.changed.changed().await.ok()?;
        }
    }

    fn ready(&mut self) -> Option<Update> {
        let state = lock(&self.shared.0);
        let behind = self.seen.map_or(u64::MAX, |seen| state.version - seen);
        if behind > state.log.len() as u64 {
            self.seen = Some(state.version);
            return Some(Update::Reset(state.instances(self.service.as_deref())));
        }
        for (i, change) in state.log.range(state.log.len() - behind as usize..).enumerate() {
            if self.service.as_deref().is_none_or(|service| service == change.service()) {
                self.seen = Some(state.version - behind + i as u64 + 1);
                return Some(change.to_update());
            }
        }
        self.seen = Some(state.version);
        None
    }
}

impl Change {
    fn service(&self) -> &str {
        match self {
            Self::Add(instance) => &instance.service,
            Self::Remove(_, service) => service,
        }
    }

    fn to_update(&self) -> Update {
        match self {
            Self::Add(instance) => Update::Add(Instance::clone(instance)),
            Self::Remove(id, _) => Update::Remove(id.clone()),
        }
    }
}

/// Counts the records that a backend does not take, and says so in the log twice a minute at most:
/// whoever can write to a registry must not be able to fill a disk with log lines.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    count: AtomicU64,
    said: Mutex<Option<Time>>,
}

impl Ignored {
    pub(crate) fn note(&self, count: usize, why: &dyn fmt::Display) {
        if count == 0 {
            return;
        }
        let total = self.count.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let now = Time::now();
        let mut said = lock(&self.said);
        if said.is_none_or(|said| now.duration_since(said) >= Duration::from_secs(30)) {
            *said = Some(now);
            tracing::warn!(total, reason = %why, "registry records are ignored");
        }
    }

    /// How many were ignored so far.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(service: &str, id: &str) -> Instance {
        Instance {
            id: InstanceId::parse(id).expect("id"),
            service: service.into(),
            version: 1,
            addresses: Vec::new(),
            metadata: BTreeMap::new(),
            subscriptions: Vec::new(),
        }
    }

    fn now(updates: &mut Updates) -> Vec<Update> {
        std::iter::from_fn(|| updates.ready()).collect()
    }

    #[test]
    fn a_watcher_sees_a_reset_and_then_its_service_only() {
        let table = Table::new();
        table.put(instance("a", "a1")).expect("room");
        table.put(instance("b", "b1")).expect("room");
        let mut updates = table.watch(Some("a"));
        assert_eq!(now(&mut updates), [Update::Reset(vec![instance("a", "a1")])]);
        table.put(instance("b", "b2")).expect("room");
        table.put(instance("a", "a2")).expect("room");
        table.put(instance("a", "a2")).expect("the same again");
        table.remove(&InstanceId::parse("a1").expect("id"));
        let a1 = InstanceId::parse("a1").expect("id");
        assert_eq!(now(&mut updates), [Update::Add(instance("a", "a2")), Update::Remove(a1)]);
    }

    #[test]
    fn an_instance_that_changes_its_service_leaves_the_old_one() {
        let table = Table::new();
        table.put(instance("a", "x")).expect("room");
        let (mut a, mut b) = (table.watch(Some("a")), table.watch(Some("b")));
        now(&mut a);
        now(&mut b);
        table.put(instance("b", "x")).expect("room");
        assert_eq!(now(&mut a), [Update::Remove(InstanceId::parse("x").expect("id"))]);
        assert_eq!(now(&mut b), [Update::Add(instance("b", "x"))]);
        assert_eq!(table.list(), [instance("b", "x")]);
    }

    #[test]
    fn a_watcher_at_the_end_of_the_log_gets_all_and_one_behind_it_a_reset() {
        let table = Table::new();
        let mut updates = table.watch(None);
        now(&mut updates);
        for i in 0..LOG {
            table.put(instance("a", &format!("i{i}"))).expect("room");
        }
        assert_eq!(now(&mut updates).len(), LOG);
        for i in 0..=LOG {
            table.put(instance("b", &format!("j{i}"))).expect("room");
        }
        let late = now(&mut updates);
        assert!(matches!(&late[..], [Update::Reset(all)] if all.len() == 2 * LOG + 1));
    }

    #[test]
    fn a_reset_reaches_a_watcher_even_when_nothing_changed() {
        let table = Table::new();
        table.put(instance("a", "x")).expect("room");
        let mut updates = table.watch(Some("a"));
        now(&mut updates);
        assert_eq!(table.update(vec![Arc::new(instance("a", "x"))]), 0);
        assert_eq!(now(&mut updates), []);
        assert_eq!(table.reset(vec![Arc::new(instance("a", "x"))]), 0);
        assert_eq!(now(&mut updates), [Update::Reset(vec![instance("a", "x")])]);
    }

    #[test]
    fn the_limits_are_kept_and_replacing_at_the_limit_is_not_adding() {
        let table = Table::new();
        for service in 0..MAX_INSTANCES / MAX_INSTANCES_PER_SERVICE {
            for i in 0..MAX_INSTANCES_PER_SERVICE {
                let added = instance(&format!("s{service}"), &format!("i{service}-{i}"));
                table.put(added).expect("room");
            }
        }
        assert!(matches!(table.put(instance("s0", "more")), Err(RegistryError::Full(_))));
        assert!(matches!(table.put(instance("t", "more")), Err(RegistryError::Full(_))));
        let again = Instance { version: 2, ..instance("s0", "i0-0") };
        table.put(again.clone()).expect("it is there");
        assert_eq!(table.lookup("s0")[0], again);
        assert_eq!(table.update(vec![Arc::new(again)]), 0);
        assert_eq!(table.list().len(), 1);
    }

    #[tokio::test]
    async fn updates_end_with_the_registry_and_not_before_all_is_read() {
        let table = Table::new();
        let mut updates = table.watch(None);
        assert_eq!(updates.next().await, Some(Update::Reset(Vec::new())));
        table.put(instance("a", "x")).expect("room");
        drop(table);
        assert_eq!(updates.next().await, Some(Update::Add(instance("a", "x"))));
        assert_eq!(updates.next().await, None);
    }
}
