//! The last ids that a group has seen. The ids of one process are numbered, so a window of them is bits:
//! what comes one after the other is kept 64 to a word.

use std::collections::{HashMap, VecDeque};

use crate::id::Id;

/// A window of ids, oldest forgotten first, in blocks of up to 64.
pub(in crate::broker) struct Recent {
    blocks: HashMap<Block, u64>,
    /// The block that was looked at last, out of `blocks`: the next id is most likely in it.
    last: (Block, u64),
    /// In the order in which they began.
    order: VecDeque<Block>,
    count: usize,
    limit: usize,
}

/// A process and 64 of its ids.
type Block = (u64, u64);

impl Recent {
    pub(in crate::broker) fn new(limit: usize) -> Self {
        let (blocks, order) = (HashMap::new(), VecDeque::new());
        Self { blocks, last: ((0, 0), 0), order, count: 0, limit }
    }

    pub(in crate::broker) fn contains(&self, id: Id) -> bool {
        let (block, bit) = place(id);
        let bits = if block == self.last.0 { Some(&self.last.1) } else { self.blocks.get(&block) };
        bits.is_some_and(|bits| bits & bit != 0)
    }

    /// Whether it was not there.
    pub(in crate::broker) fn insert(&mut self, id: Id) -> bool {
        let (block, bit) = place(id);
        if self.limit == 0 {
            return true;
        }
        self.look_at(block);
        let bits = &mut self.last.1;
        if *bits & bit != 0 {
            return false;
        }
        let begins = *bits == 0 && !self.blocks.contains_key(&block);
        *bits |= bit;
        self.count += 1;
        if begins {
            self.blocks.insert(block, 0);
            self.order.push_back(block);
            self.forget();
        }
        true
    }

    /// Forgets an id before its time.
    pub(in crate::broker) fn remove(&mut self, id: Id) {
        let (block, bit) = place(id);
        self.look_at(block);
        if self.last.1 & bit != 0 {
            self.last.1 &= !bit;
            self.count -= 1;
        }
    }

    fn look_at(&mut self, block: Block) {
        if self.last.0 == block {
            return;
        }
        if let Some(bits) = self.blocks.get_mut(&self.last.0) {
            *bits = self.last.1;
        }
        self.last = (block, self.blocks.get(&block).copied().unwrap_or(0));
    }

    /// Whole blocks go, as long as the window stays full without them. Looked at when a block begins, so
    /// that the window may hold one block more than it should, and most insertions look at nothing.
    fn forget(&mut self) {
        while let Some(oldest) = self.order.front() {
            let bits = if *oldest == self.last.0 { self.last.1 } else { self.blocks[oldest] };
            let left = self.count - bits.count_ones() as usize;
            // Emptied blocks are bounded too.
            if left < self.limit && self.order.len() <= 2 * self.limit {
                return;
            }
            self.count = left;
            self.blocks.remove(oldest);
            if *oldest == self.last.0 {
                self.last.1 = 0;
            }
            self.order.pop_front();
        }
    }
}

fn place(id: Id) -> (Block, u64) {
    let (process, number) = id.place();
    ((process, number / 64), 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(recent: &Recent, ids: &[Id]) -> usize {
        ids.iter().filter(|id| recent.contains(**id)).count()
    }

    #[test]
    fn the_last_ones_are_known_and_old_ones_are_not() {
        for limit in [1, 3, 100, 1_000] {
            let mut recent = Recent::new(limit);
            let ids: Vec<Id> = (0..5_000).map(|_| Id::random()).collect();
            for (i, id) in ids.iter().enumerate() {
                assert!(!recent.contains(*id));
                assert!(recent.insert(*id) && !recent.insert(*id));
                if i % 101 != 0 {
                    continue;
                }
                let first = (i + 1).saturating_sub(limit);
                assert_eq!(known(&recent, &ids[first..=i]), i + 1 - first);
            }
            assert!(known(&recent, &ids) <= limit + 128);
            assert!(recent.order.len() <= limit + 64 && recent.blocks.len() == recent.order.len());
        }
    }

    #[test]
    fn ids_of_any_kind_are_bounded() {
        let mut recent = Recent::new(100);
        let ids: Vec<Id> = (1..2_000u128).map(|n| Id::from_u128((n << 64) | (n * n))).collect();
        for id in &ids {
            assert!(recent.insert(*id));
        }
        assert_eq!(known(&recent, &ids), 100);
        assert_eq!(known(&recent, &ids[ids.len() - 100..]), 100);
        assert_eq!(recent.blocks.len(), 100);
    }

    #[test]
    fn one_that_is_removed_is_new_again() {
        let mut recent = Recent::new(100);
        let ids: Vec<Id> = (0..70).map(|_| Id::random()).collect();
        ids.iter().for_each(|id| assert!(recent.insert(*id)));
        recent.remove(ids[3]);
        assert_eq!(known(&recent, &ids), 69);
        assert!(!recent.contains(ids[3]) && recent.insert(ids[3]));
        for _ in 0..1_000 {
            recent.remove(ids[5]);
            recent.insert(ids[5]);
        }
        assert_eq!(known(&recent, &ids), 70);
    }

    #[test]
    fn none_are_known_where_none_are_kept() {
        let mut recent = Recent::new(0);
        let id = Id::random();
        assert!(recent.insert(id) && recent.insert(id) && !recent.contains(id));
    }
}
