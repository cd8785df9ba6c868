//! The last ids that a group has seen.

use std::collections::{HashSet, VecDeque};

use crate::id::Id;

/// A window of ids, oldest forgotten first.
pub(in crate::broker) struct Recent {
    ids: HashSet<Id>,
    order: VecDeque<Id>,
    limit: usize,
}

impl Recent {
    pub(in crate::broker) fn new(limit: usize) -> Self {
        Self { ids: HashSet::new(), order: VecDeque::new(), limit }
    }

    pub(in crate::broker) fn contains(&self, id: Id) -> bool {
        self.ids.contains(&id)
    }

    pub(in crate::broker) fn insert(&mut self, id: Id) {
        if self.limit == 0 || !self.ids.insert(id) {
            return;
        }
        if self.order.len() == self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back(id);
    }

    /// Forgets an id before its time. Its place in the order stays taken until the window has passed.
    pub(in crate::broker) fn remove(&mut self, id: Id) {
        self.ids.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_and_forgets_the_oldest() {
        let mut recent = Recent::new(3);
        for n in 1..=5 {
            recent.insert(Id::from_u128(n));
            recent.insert(Id::from_u128(n));
        }
        let known: Vec<u128> = (1..=5).filter(|n| recent.contains(Id::from_u128(*n))).collect();
        assert_eq!(known, [3, 4, 5]);
        assert_eq!(recent.order.len(), 3);
        recent.remove(Id::from_u128(5));
        assert!(!recent.contains(Id::from_u128(5)));
    }
}
