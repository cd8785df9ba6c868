//! Routes: names of handlers that became numbers, once for each connection.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::call::Target;
use crate::hash::Fnv;
use crate::wire::MAX_ROUTES;

type Name = Cow<'static, str>;

/// The routes that a client has announced.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By a hash of the names: an index into `names`. Of two names with one hash the first has it.
    numbers: HashMap<u64, u32, BuildHasherDefault<Fnv>>,
    names: Vec<(Name, Name)>,
    /// The one that was found last: calls of one handler mostly come together.
    last: u32,
}

/// The number of a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Number {
    /// The server knows it.
    Known(u32),
    /// It must be announced.
    New(u32),
    /// There is none: the call goes on a stream of its own, with its names.
    Names,
}

impl Routes {
    pub(super) fn find(&mut self, target: &Target) -> Number {
        if self.is(self.last, target) {
            return Number::Known(self.last);
        }
        match self.numbers.get(&hash(target)) {
            Some(&number) if self.is(number, target) => {
                self.last = number;
                Number::Known(number)
            }
            Some(_) => Number::Names,
            None if self.names.len() >= MAX_ROUTES => Number::Names,
            None => Number::New(self.names.len() as u32),
        }
    }

    /// The number of [`Number::New`] was announced.
    pub(super) fn announced(&mut self, target: &Target) {
        self.numbers.insert(hash(target), self.names.len() as u32);
        self.names.push((target.service.clone(), target.method.clone()));
    }

    /// The target of a number that was announced.
    pub(super) fn target(&self, number: u32) -> Target {
        let (service, method) = &self.names[number as usize];
        Target::new(service.clone(), method.clone())
    }

    fn is(&self, number: u32, target: &Target) -> bool {
        let name = self.names.get(number as usize);
        name.is_some_and(|(service, method)| *service == target.service && *method == target.method)
    }
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
            routes.announced(&target);
            assert_eq!(routes.find(&target), Number::Known(n));
            assert_eq!(routes.target(n), target);
        }
        assert_eq!(routes.find(&Target::new("one", "more")), Number::Names);
        assert_eq!(routes.find(&Target::new("service", "0")), Number::Known(0));
    }
}
