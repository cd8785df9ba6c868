//! Numbered entries, most of which go in about the order in which they came.

use std::collections::{BTreeMap, VecDeque};

/// Entries by number, from 0 on.
pub(super) struct Ring<T> {
    /// The entries from `first` on; those that went leave a hole.
    ring: VecDeque<Option<T>>,
    first: u64,
    /// How many are in the ring.
    held: usize,
    /// Those that stayed when most of their neighbours had gone, so that one does not hold room for
    /// all that come after it.
    old: BTreeMap<u64, T>,
}

impl<T> Ring<T> {
    pub(super) fn new() -> Self {
        Self { ring: VecDeque::new(), first: 0, held: 0, old: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.held + self.old.len()
    }

    /// The number that the next entry gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    pub(super) fn push(&mut self, entry: T) {
        self.ring.push_back(Some(entry));
        self.held += 1;
        while self.ring.len() > 64 + 4 * self.held {
            self.retire();
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        match number.checked_sub(self.first) {
            Some(at) => self.ring.get(at as usize)?.as_ref(),
            None => self.old.get(&number),
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        match number.checked_sub(self.first) {
            Some(at) => self.ring.get_mut(at as usize)?.as_mut(),
            None => self.old.get_mut(&number),
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let Some(at) = number.checked_sub(self.first) else {
            return self.old.remove(&number);
        };
        let entry = self.ring.get_mut(at as usize)?.take()?;
        self.held -= 1;
        while let Some(None) = self.ring.front() {
            self.retire();
        }
        Some(entry)
    }

    /// Those before `end`, oldest first.
    pub(super) fn until(&self, end: u64) -> impl Iterator<Item = (u64, &T)> {
        let ring = (self.first..end).zip(&self.ring);
        let ring = ring.filter_map(|(number, entry)| Some((number, entry.as_ref()?)));
        self.old.range(..end).map(|(number, entry)| (*number, entry)).chain(ring)
    }

    /// Moves the beginning of the ring by one.
    fn retire(&mut self) {
        if let Some(oldest) = self.ring.pop_front() {
            if let Some(entry) = oldest {
                self.held -= 1;
                self.old.insert(self.first, entry);
            }
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_stays_holds_no_room_for_those_that_go() {
        let mut ring = Ring::new();
        ring.push(0);
        for number in 1..10_000 {
            ring.push(number);
            assert_eq!(ring.remove(number), Some(number));
            assert_eq!(ring.remove(number), None);
        }
        assert!(ring.ring.len() <= 68, "{}", ring.ring.len());
        assert_eq!((ring.len(), ring.next()), (1, 10_000));
        assert_eq!((ring.get(0).copied(), ring.get_mut(0).copied()), (Some(0), Some(0)));
        ring.push(10_000);
        assert_eq!(ring.until(10_000).collect::<Vec<_>>(), [(0, &0)]);
        assert_eq!(ring.until(10_001).count(), 2);
        assert_eq!(ring.remove(0), Some(0));
        assert_eq!((ring.get(0), ring.get(10_001), ring.len()), (None, None, 1));
    }
}
