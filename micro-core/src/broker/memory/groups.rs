//! Values by a number that is never used again: an index, and how often that place was used before.

/// The values.
#[derive(Debug)]
pub(super) struct Groups<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    uses: u32,
    value: Option<T>,
}

impl<T> Groups<T> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Keeps a value; its number.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { uses: 0, value: None });
            // There are at most as many as subscriptions, of which there are thousands.
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.uses = place.uses.wrapping_add(1);
        place.value = Some(value);
        u64::from(place.uses) << 32 | u64::from(index)
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        let place = self.places.get(number as u32 as usize)?;
        place.value.as_ref().filter(|_| place.uses == (number >> 32) as u32)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.places.get_mut(number as u32 as usize)?;
        place.value.as_mut().filter(|_| place.uses == (number >> 32) as u32)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        self.get(number)?;
        self.free.push(number as u32);
        self.places[number as u32 as usize].value.take()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_ref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            Some((u64::from(place.uses) << 32 | index as u64, place.value.as_mut()?))
        })
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        let taken: Vec<T> = self.places.iter_mut().filter_map(|place| place.value.take()).collect();
        self.free = (0..self.places.len() as u32).collect();
        taken.into_iter()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_used_again() {
        let mut groups = Groups::new();
        let (a, b) = (groups.insert("a"), groups.insert("b"));
        assert_eq!(groups.get(a), Some(&"a"));
        assert_eq!(groups.get_mut(b).copied(), Some("b"));
        assert_eq!((groups.remove(a), groups.remove(a)), (Some("a"), None));
        let c = groups.insert("c");
        assert_ne!(a, c);
        assert_eq!((groups.get(a), groups.get(c), groups.places.len()), (None, Some(&"c"), 2));
        assert!(groups.iter_mut().map(|(number, _)| number).eq([c, b]));
        assert_eq!(groups.drain().count(), 2);
        assert!(groups.is_empty() && groups.get(b).is_none());
        let d = groups.insert("d");
        assert!(![a, b, c].contains(&d));
        assert_eq!(groups.get(u64::MAX), None);
    }
}
