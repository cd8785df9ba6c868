//! Routes: names of handlers that became numbers, once for each connection.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::call::Target;
use crate::codec::{self, Encoding};
use crate::hash::Fnv;
use crate::schema::ContractDocument;
use crate::status::{Executed, Status};
use crate::wire::{MAX_ROUTES, Route};

type Name = Cow<'static, str>;

/// The routes that a client has announced.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By a hash of the names: an index into `announced`. Of two names with one hash the first has it.
    numbers: HashMap<u64, u32, BuildHasherDefault<Fnv>>,
    announced: Vec<Announced>,
    /// The one that was found last: calls of one handler mostly come together.
    last: u32,
}

#[derive(Debug)]
struct Announced {
    service: Name,
    method: Name,
    contract: Option<ContractDocument>,
    /// Why the server cannot be called so.
    misfit: Option<String>,
}

/// The number of a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Number {
    /// The server knows it.
    Known(u32),
    /// It must be announced.
    New(u32),
    /// The server knows it, and was built from a contract that does not fit.
    Misfit(u32),
    /// There is none: the call goes on a stream of its own, with its names.
    Names,
}

impl Routes {
    pub(super) fn find(&mut self, target: &Target) -> Number {
        if self.is(self.last, target) {
            return self.known(self.last);
        }
        match self.numbers.get(&hash(target)) {
            Some(&number) if self.is(number, target) => {
                self.last = number;
                self.known(number)
            }
            Some(_) => Number::Names,
            None if self.announced.len() >= MAX_ROUTES => Number::Names,
            None => Number::New(self.announced.len() as u32),
        }
    }

    /// What announces the number of [`Number::New`], which is known from now on.
    pub(super) fn announce(&mut self, target: &Target) -> Route {
        let id = self.announced.len() as u32;
        let contract = target.contract.map(ContractDocument::from);
        let fingerprint = contract.as_ref().map_or(0, ContractDocument::fingerprint);
        let (service, method) = (target.service.clone(), target.method.clone());
        self.numbers.insert(hash(target), id);
        let route =
            Route { id, fingerprint, service: service.to_string(), method: method.to_string() };
        self.announced.push(Announced { service, method, contract, misfit: None });
        route
    }

    /// What the server has behind a route: says what differs, if that matters.
    pub(super) fn compare(&mut self, number: u32, server: &[u8]) -> Option<&str> {
        let route = self.announced.get_mut(number as usize)?;
        // Once, so that a server cannot keep a client busy.
        let own = route.contract.take()?;
        let server: ContractDocument = codec::decode(Encoding::MessagePack, server).ok()?;
        route.misfit = own.misfit(&server);
        route.misfit.as_deref()
    }

    /// The target of a number that was announced.
    pub(super) fn target(&self, number: u32) -> Target {
        let Announced { service, method, .. } = &self.announced[number as usize];
        Target::new(service.clone(), method.clone())
    }

    /// The status of calls of [`Number::Misfit`].
    pub(super) fn misfit(&self, number: u32) -> Status {
        let Announced { service, method, misfit, .. } = &self.announced[number as usize];
        let what = misfit.as_deref().unwrap_or("they do not fit");
        Status::failed_precondition(format!(
            "`{service}.{method}` differs between this client and the server: {what}"
        ))
        .with_executed(Executed::No)
    }

    fn known(&self, number: u32) -> Number {
        match self.announced[number as usize].misfit {
            None => Number::Known(number),
            Some(_) => Number::Misfit(number),
        }
    }

    fn is(&self, number: u32, target: &Target) -> bool {
        let found = self.announced.get(number as usize);
        found.is_some_and(|found| {
            same(&found.method, &target.method) && same(&found.service, &target.service)
        })
    }
}

/// Names of generated clients are one text each, and need not be compared.
fn same(a: &Name, b: &Name) -> bool {
    (a.as_ptr() == b.as_ptr() && a.len() == b.len()) || a == b
}

/// The names are this process's own, so nobody can choose them to collide.
fn hash(target: &Target) -> u64 {
    let mut hash = Fnv::default();
    hash.write(target.service.as_bytes());
    hash.write_u8(0);
    hash.write(target.method.as_bytes());
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_new_once() {
        let mut routes = Routes::default();
        for n in 0..MAX_ROUTES as u32 {
            let target = Target::new("service", n.to_string());
            assert_eq!(routes.find(&target), Number::New(n));
            routes.announce(&target);
            assert_eq!(routes.find(&target), Number::Known(n));
            assert_eq!(routes.target(n), target);
        }
        assert_eq!(routes.find(&Target::new("one", "more")), Number::Names);
        assert_eq!(routes.find(&Target::new("service", "0")), Number::Known(0));
    }
}
