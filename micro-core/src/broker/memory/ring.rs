//! Numbered entries, most of which go in about the order in which they came.

use std::collections::{BTreeMap, VecDeque};

/// Entries by number, from 0 on.
pub(in crate::broker) struct Ring<T> {
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
    pub(in crate::broker) fn new() -> Self {
        Self { ring: VecDeque::new(), first: 0, held: 0, old: BTreeMap::new() }
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.held + self.old.len()
    }

    /// The number that the next entry gets.
    pub(in crate::broker) fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    pub(in crate::broker) fn push(&mut self, entry: T) {
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

    /// Removes those from `first` on that come before `end`.
    pub(in crate::broker) fn remove_range(
        &mut self,
        first: u64,
        end: u64,
        mut removed: impl FnMut(T),
    ) {
        let old: Vec<u64> = match self.old.is_empty() || first >= self.first {
            true => Vec::new(),
            false => self.old.range(first..end.max(first)).map(|(number, _)| *number).collect(),
        };
        old.iter().filter_map(|number| self.old.remove(number)).for_each(&mut removed);
        let place = |number: u64| (number.max(self.first) - self.first) as usize;
        let range = place(first).min(self.ring.len())..place(end).min(self.ring.len());
        for entry in self.ring.range_mut(range.start..range.end.max(range.start)) {
            if let Some(entry) = entry.take() {
                self.held -= 1;
                removed(entry);
            }
        }
        while let Some(None) = self.ring.front() {
            self.retire();
        }
    }

    /// All, to be changed.
    pub(in crate::broker) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.old.values_mut().chain(self.ring.iter_mut().flatten())
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let ring = (self.first..).zip(&self.ring);
        let ring = ring.filter_map(|(number, entry)| Some((number, entry.as_ref()?)));
        self.old.iter().map(|(number, entry)| (*number, entry)).chain(ring)
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
        assert_eq!(ring.iter().collect::<Vec<_>>(), [(0, &0), (10_000, &10_000)]);
        assert_eq!(ring.remove(0), Some(0));
        assert_eq!((ring.get(0), ring.get(10_001), ring.len()), (None, None, 1));
    }

    #[test]
    fn a_range_goes_at_once_and_only_once() {
        let mut ring = Ring::new();
        (0..1_000).for_each(|number| ring.push(number));
        let removed = |ring: &mut Ring<u64>, first, end| {
            let mut all = Vec::new();
            ring.remove_range(first, end, |entry| all.push(entry));
            all
        };
        assert_eq!(removed(&mut ring, 10, 20), (10..20).collect::<Vec<_>>());
        assert_eq!(removed(&mut ring, 5, 25), (5..10).chain(20..25).collect::<Vec<_>>());
        assert_eq!(removed(&mut ring, 1, 990).len(), 989 - 20);
        (1_000..2_000).for_each(|number| ring.push(number));
        assert_eq!(removed(&mut ring, 990, 2_000).len(), 1_010);
        (2_000..2_200).for_each(|number| ring.push(number));
        assert_eq!(removed(&mut ring, 0, u64::MAX).len(), 201, "the one that stayed, too");
        assert_eq!((ring.len(), ring.next()), (0, 2_200));
        assert!(removed(&mut ring, 20, 10).is_empty());
    }
}
