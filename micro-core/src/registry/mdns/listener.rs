//! What the network says, taken into the table within bounds.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mdns_sd::{Receiver, ServiceEvent};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Inner, SERVICE, SETTLE, record, start, stop};
use crate::registry::{Instance, InstanceId, MAX_INSTANCES};
use crate::sync::lock;

/// The time in which a budget is spent, and after which it is checked what the daemon remembers.
const TURN: Duration = Duration::from_secs(1);
/// Events taken in a turn: what a thousand instances say that all come at once. Those over it wait in
/// the daemon's bounded queue, and if that is full we ask again.
const BUDGET: usize = 4_000;
/// Records that the daemon may remember. It has no bound of its own, and takes whatever anyone says.
/// Each also makes it set timers, even again and again.
const MAX_RECORDS: i64 = 5 * MAX_INSTANCES as i64;
/// How long there is no daemon after it was flooded.
const REST: Duration = Duration::from_secs(5);

/// Ends with the registry.
pub(super) async fn listen(registry: Weak<Inner>, events: Receiver<ServiceEvent>) {
    let mut hearing = Hearing { events, resync: None };
    loop {
        let turn = Instant::now() + TURN;
        let heard = hearing.turn(&registry, turn).await;
        // Under a flood the rest of the turn is for others; the daemon's queue is what is full then.
        if !matches!(heard, Heard::Silence) {
            sleep_until(turn).await;
        }
        let Some(inner) = registry.upgrade() else {
            return;
        };
        if matches!(heard, Heard::End) {
            hearing.ask_again(&inner);
        }
        if is_flooded(&inner).await {
            drop(inner);
            if !restart(&registry, &mut hearing).await {
                return;
            }
        } else {
            hearing.settle(&inner);
        }
    }
}

struct Hearing {
    events: Receiver<ServiceEvent>,
    /// After a gap: until when all may say again that they are there, and who has.
    resync: Option<(Instant, HashSet<InstanceId>)>,
}

enum Heard {
    /// The daemon closed the queue: it was full, or the daemon has ended.
    End,
    /// As much as the budget allows.
    Enough,
    /// Nothing more until the end of the turn.
    Silence,
}

impl Hearing {
    async fn turn(&mut self, registry: &Weak<Inner>, until: Instant) -> Heard {
        for count in 1..=BUDGET {
            let Ok(event) = timeout_at(until, self.events.recv_async()).await else {
                return Heard::Silence;
            };
            let (Ok(event), Some(inner)) = (event, registry.upgrade()) else {
                return Heard::End;
            };
            match event {
                ServiceEvent::ServiceResolved(found) => match record::resolved(&found) {
                    Ok(instance) => self.found(&inner, instance),
                    Err(error) => inner.ignored.note(1, &error),
                },
                ServiceEvent::ServiceRemoved(_, name) => {
                    if let Some(id) = record::id(&name) {
                        self.gone(&inner, &id);
                    }
                }
                _ => {}
            }
            // The queue knows nothing of tokio's budgets.
            if count % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        Heard::Enough
    }

    fn found(&mut self, inner: &Inner, instance: Instance) {
        // Held until the table has it: a registration of our own must not be overwritten by its echo.
        let own = lock(&inner.own);
        if own.is_echo(&instance.id) {
            return;
        }
        if let Some((_, seen)) = &mut self.resync
            && seen.len() < MAX_INSTANCES
        {
            seen.insert(instance.id.clone());
        }
        if let Err(error) = inner.table.put(instance) {
            inner.ignored.note(1, &error);
        }
    }

    fn gone(&mut self, inner: &Inner, id: &InstanceId) {
        let own = lock(&inner.own);
        if !own.announced.contains_key(id) {
            inner.table.remove(id);
        }
        if let Some((_, seen)) = &mut self.resync {
            seen.remove(id);
        }
    }

    /// Subscribes again, and hears all that the daemon remembers.
    fn ask_again(&mut self, inner: &Inner) {
        if let Some(daemon) = &*lock(&inner.daemon)
            && let Ok(events) = daemon.browse(SERVICE)
        {
            self.events = events;
            self.resync = Some((Instant::now() + 2 * SETTLE, HashSet::new()));
        }
    }

    /// Forgets those who were not heard of again after a gap.
    fn settle(&mut self, inner: &Inner) {
        if self.resync.as_ref().is_none_or(|(until, _)| Instant::now() < *until) {
            return;
        }
        let Some((_, seen)) = self.resync.take() else {
            return;
        };
        let own = lock(&inner.own);
        let mut all = inner.table.list();
        all.retain(|i| seen.contains(&i.id) || own.announced.contains_key(&i.id));
        inner.table.reset(all.into_iter().map(Arc::new).collect());
    }
}

/// Whether the daemon remembers more than it may.
async fn is_flooded(inner: &Inner) -> bool {
    let metrics = lock(&inner.daemon).as_ref().map(|daemon| daemon.get_metrics());
    let Some(Ok(metrics)) = metrics else {
        return false;
    };
    match timeout_at(Instant::now() + TURN, metrics.recv_async()).await {
        Ok(Ok(metrics)) => {
            let cached = metrics.iter().filter(|(name, _)| name.starts_with("cached-"));
            let timers = metrics.get("timer").copied().unwrap_or_default();
            cached.map(|(_, count)| count).sum::<i64>() > MAX_RECORDS || timers > 4 * MAX_RECORDS
        }
        // It has ended, or has more to do than it can: either way a new one is needed.
        _ => true,
    }
}

/// Ends the daemon, rests, and starts another one that announces the same. What is known stays known
/// meanwhile. False when the registry has gone.
async fn restart(registry: &Weak<Inner>, hearing: &mut Hearing) -> bool {
    {
        let Some(inner) = registry.upgrade() else {
            return false;
        };
        tracing::warn!(
            limit = MAX_RECORDS,
            "multicast DNS is flooded: it is left alone for a while, and what is known is kept"
        );
        if let Some(daemon) = lock(&inner.daemon).take() {
            stop(&daemon);
        }
    }
    loop {
        sleep_until(Instant::now() + REST).await;
        let Some(inner) = registry.upgrade() else {
            return false;
        };
        let own = lock(&inner.own);
        match start(&inner.options) {
            Ok((daemon, events)) => {
                for announced in own.announced.values() {
                    if let Err(error) = daemon.register(announced.info.clone()) {
                        tracing::warn!(%error, id = %announced.instance.id, "not announced again");
                    }
                }
                hearing.events = events;
                hearing.resync = Some((Instant::now() + 2 * SETTLE, HashSet::new()));
                *lock(&inner.daemon) = Some(daemon);
                return true;
            }
            Err(error) => tracing::warn!(%error, "multicast DNS is tried again later"),
        }
    }
}
