//! Checks of several services together: names, HTTP routes, and subscriptions to what nobody emits.
//!
//! The compiler compares hashes that are taken once, since it is slow: 50 services of 20 handlers each are
//! to cost a fraction of a second. The start compares the names themselves.

use std::collections::HashMap;

use super::matches;
use super::text::{Text, is_near, same};
use crate::service::{
    HttpBinding, Location, MethodDescriptor, ServiceDescriptor, SubscriptionDescriptor,
};

/// Slots of the table of HTTP routes; a power of two. Beyond three quarters of it, the start alone checks.
const SLOTS: usize = 4096;
/// Services whose names the compiler compares; the start compares the others.
const SERVICES: usize = 512;

/// The hashes of all that must be there once.
#[derive(Debug)]
pub struct Survey {
    names: [u64; SERVICES],
    routes: [u64; SLOTS],
    /// Which service and which of its methods holds a route.
    holders: [(u16, u16); SLOTS],
}

impl Survey {
    /// Takes the hashes.
    pub const fn of(list: &[&ServiceDescriptor]) -> Self {
        let (names, routes, holders) = ([0; SERVICES], [0; SLOTS], [(0, 0); SLOTS]);
        let mut survey = Self { names, routes, holders };
        let mut taken = 0;
        let mut i = 0;
        while i < list.len() && i < SERVICES {
            survey.names[i] = name_hash(list[i]);
            let methods = list[i].methods;
            let mut m = 0;
            while m < methods.len() && taken < SLOTS / 4 * 3 {
                if let Some(http) = methods[m].http {
                    let hash = route_hash(http);
                    let slot = survey.slot(hash);
                    if survey.routes[slot] == 0 {
                        survey.routes[slot] = hash;
                        survey.holders[slot] = (i as u16, m as u16);
                        taken += 1;
                    }
                }
                m += 1;
            }
            i += 1;
        }
        survey
    }

    /// Where the hash is, or would be. There is always a free slot.
    const fn slot(&self, hash: u64) -> usize {
        let mut slot = hash as usize % SLOTS;
        while self.routes[slot] != 0 && self.routes[slot] != hash {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }

    /// The handler of an earlier service that has this route.
    const fn holder<'a>(
        &self,
        list: &[&'a ServiceDescriptor],
        http: HttpBinding,
        before: usize,
    ) -> Option<(&'a ServiceDescriptor, &'a MethodDescriptor, HttpBinding)> {
        let hash = route_hash(http);
        let slot = self.slot(hash);
        let (service, method) = self.holders[slot];
        if self.routes[slot] == 0 || service as usize >= before {
            return None;
        }
        let service = list[service as usize];
        let method = &service.methods[method as usize];
        match method.http {
            Some(other) if answers_same(http, other) => Some((service, method, other)),
            _ => None,
        }
    }
}

/// What the service at `index` shares with an earlier one and must not.
pub(super) const fn clash(
    survey: &Survey,
    list: &[&ServiceDescriptor],
    index: usize,
) -> Option<Text> {
    let this = list[index];
    let mut i = 0;
    while i < index && index < SERVICES {
        let other = list[i];
        if survey.names[i] == survey.names[index] && is_same_service(this, other) {
            return Some(same_name(other, this));
        }
        i += 1;
    }
    let mut i = 0;
    while i < this.methods.len() {
        let method = &this.methods[i];
        if let Some(http) = method.http
            && let Some((other, held, binding)) = survey.holder(list, http, index)
        {
            return Some(same_route((other, held, binding), (this, method, http)));
        }
        i += 1;
    }
    None
}

/// The first subscription of the service at `index` to what no service of the list emits. Nothing as long
/// as no service says what it emits, since then nobody can know.
pub(super) const fn unheard_at(
    list: &[&ServiceDescriptor],
    external: &[&str],
    index: usize,
) -> Option<Text> {
    let this = list[index];
    let mut i = 0;
    while i < this.subscriptions.len() {
        let subscription = &this.subscriptions[i];
        match emitter(list, external, subscription) {
            Emitter::Missing { near } => return Some(silence(this, subscription, near)),
            Emitter::Found | Emitter::Unknown => {}
        }
        i += 1;
    }
    None
}

enum Emitter {
    Found,
    Missing { near: &'static str },
    Unknown,
}

const fn emitter(
    list: &[&ServiceDescriptor],
    external: &[&str],
    subscription: &SubscriptionDescriptor,
) -> Emitter {
    let mut i = 0;
    while i < external.len() {
        if matches(external[i], subscription.topic) {
            return Emitter::Found;
        }
        i += 1;
    }
    let (mut any, mut near) = (false, "");
    let mut i = 0;
    while i < list.len() {
        let emits = list[i].emits;
        let mut e = 0;
        while e < emits.len() {
            any = true;
            if same(emits[e], subscription.topic) {
                return Emitter::Found;
            }
            if is_near(subscription.topic, emits[e]) {
                near = emits[e];
            }
            e += 1;
        }
        i += 1;
    }
    if any { Emitter::Missing { near } } else { Emitter::Unknown }
}

/// Everything that is wrong with the services of a program taken together, each as a text for people.
/// Empty is well.
pub fn findings(list: &[&ServiceDescriptor]) -> Vec<String> {
    let mut found = Vec::new();
    let mut names: HashMap<(&str, u32), &ServiceDescriptor> = HashMap::new();
    let mut routes: HashMap<(&str, String), (&ServiceDescriptor, &MethodDescriptor, HttpBinding)> =
        HashMap::new();
    for service in list {
        if let Some(first) = names.insert((service.name, service.version), service) {
            found.push(same_name(first, service).as_str().to_owned());
        }
        for method in service.methods {
            let Some(http) = method.http else { continue };
            let this = (*service, method, http);
            if let Some(first) = routes.insert((http.verb, anonymous(http.path)), this) {
                found.push(same_route(first, this).as_str().to_owned());
            }
        }
    }
    found
}

/// The subscriptions to what no service of the list says it emits, each as a text for people. That is no
/// mistake when another process emits it.
pub fn unheard(list: &[&ServiceDescriptor]) -> Vec<String> {
    let mut found = Vec::new();
    for service in list {
        for subscription in service.subscriptions {
            if let Emitter::Missing { near } = emitter(list, &[], subscription) {
                found.push(silence(service, subscription, near).as_str().to_owned());
            }
        }
    }
    found
}

const fn is_same_service(a: &ServiceDescriptor, b: &ServiceDescriptor) -> bool {
    a.version == b.version && same(a.name, b.name)
}

const fn same_name(first: &ServiceDescriptor, second: &ServiceDescriptor) -> Text {
    let text = Text::new().then("two services of this app are named ").name(first.name);
    let text = at(text.then(": ").name(first.type_name), first.location);
    let text = at(text.then(" and ").name(second.type_name), second.location);
    text.then("\n  help: rename one with `#[service(name = \"..\")]`, or give it another `version`")
}

type Bound<'a> = (&'a ServiceDescriptor, &'a MethodDescriptor, HttpBinding);

const fn same_route(first: Bound<'_>, second: Bound<'_>) -> Text {
    let text = Text::new().then("two handlers of this app answer the same requests: ");
    bound(bound(text, first).then(" and "), second)
}

const fn bound(text: Text, (service, method, http): Bound<'_>) -> Text {
    let text = text.then("`").then(http.verb).then(" ").then(http.path).then("` of `");
    let text = text.then(service.name).then(".").then(method.name).then("`");
    at(text, method.location)
}

const fn silence(
    service: &ServiceDescriptor,
    subscription: &SubscriptionDescriptor,
    near: &str,
) -> Text {
    let text = Text::new().then("no service of this app emits ").name(subscription.topic);
    let text = text.then(", which `").then(service.type_name).then("::");
    let text = at(text.then(subscription.handler).then("` receives"), subscription.location);
    if !near.is_empty() {
        return text.then("\n  help: a similar topic is emitted: ").name(near);
    }
    text.then("\n  help: name it in the emitter's `#[service(emits(..))]`, or write `external(\"")
        .then(subscription.topic)
        .then("\")` if another process emits it")
}

const fn at(text: Text, location: Location) -> Text {
    text.then(" (").then(location.file).then(":").number(location.line).then(")")
}

/// Whether two bindings answer the same requests: names of parameters do not tell requests apart.
const fn answers_same(a: HttpBinding, b: HttpBinding) -> bool {
    if !same(a.verb, b.verb) {
        return false;
    }
    let (a, b) = (a.path.as_bytes(), b.path.as_bytes());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] != b[j] {
            return false;
        }
        if a[i] == b'{' {
            (i, j) = (past_parameter(a, i), past_parameter(b, j));
        } else {
            (i, j) = (i + 1, j + 1);
        }
    }
    i >= a.len() && j >= b.len()
}

/// The first place behind the segment.
const fn past_parameter(path: &[u8], mut i: usize) -> usize {
    while i < path.len() && path[i] != b'/' {
        i += 1;
    }
    i
}

fn anonymous(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "{" } else { segment }.to_owned();
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// FNV-1a: short, and good enough where an equal hash is compared again.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

const fn mix(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

const fn hash(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = mix(hash, bytes[i]);
        i += 1;
    }
    hash
}

const fn name_hash(service: &ServiceDescriptor) -> u64 {
    mix(hash(SEED, service.name), service.version as u8)
}

/// Never zero, which marks a free slot.
const fn route_hash(http: HttpBinding) -> u64 {
    let mut found = hash(SEED, http.verb);
    let path = http.path.as_bytes();
    let mut i = 0;
    while i < path.len() {
        found = mix(found, path[i]);
        i = if path[i] == b'{' { past_parameter(path, i) } else { i + 1 };
    }
    found | 1
}
