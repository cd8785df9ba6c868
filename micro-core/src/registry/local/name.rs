//! The names of the files of a local registry.
//!
//! A record is `<service>@<instance>.<owner>.<number>.json`, where the owner is the process that wrote
//! it, which holds a lock on `<owner>.lock` as long as it lives. No name is ever used twice: whoever
//! finds a record of a dead owner can remove it without hitting a record that has come since.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::id::Id;
use crate::registry::InstanceId;
use crate::text::is_name;

/// Who writes records: one handle of a process, by a token that later ones sort behind.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct OwnerToken(String);

impl OwnerToken {
    pub(super) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let half = (Id::random().as_u128() >> 64) as u64 ^ Id::random().as_u128() as u64;
        Self(format!("{:014x}{half:016x}", since.as_micros() & 0xff_ffff_ffff_ffff))
    }

    pub(super) fn lock_name(&self) -> String {
        format!("{}.lock", self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        (text.len() == 30 && is_hex(text)).then(|| Self(text.to_owned()))
    }
}

/// The name of a record, taken apart. Of two records of one instance, the greater one counts.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct RecordName {
    pub(super) service: String,
    pub(super) id: InstanceId,
    pub(super) owner: OwnerToken,
    pub(super) number: u32,
}

impl RecordName {
    /// `None` for the name of anything else.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (service, rest) = name.strip_suffix(".json")?.split_once('@')?;
        let mut parts = rest.split('.');
        let (id, owner, number) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !is_name(service) || number.len() != 8 || !is_hex(number) {
            return None;
        }
        Some(Self {
            service: service.to_owned(),
            id: InstanceId::parse(id).ok()?,
            owner: OwnerToken::parse(owner)?,
            number: u32::from_str_radix(number, 16).ok()?,
        })
    }
}

impl std::fmt::Display for RecordName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, id, owner, number } = self;
        write!(f, "{service}@{id}.{}.{number:08x}.json", owner.0)
    }
}

/// Whether a file belongs to the registry and serves nobody once it is old: a lock or a temporary file.
pub(super) fn is_transient(name: &str) -> bool {
    name.strip_suffix(".lock").is_some_and(|owner| OwnerToken::parse(owner).is_some())
        || name.strip_suffix(".tmp").is_some_and(|id| id.len() == 32 && is_hex(id))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_and_fits_a_file_system() {
        let name = RecordName {
            service: "s.-_".repeat(32),
            id: InstanceId::parse("i".repeat(63)).expect("id"),
            owner: OwnerToken::new(),
            number: 7,
        };
        assert!(name.to_string().len() <= 255);
        assert_eq!(RecordName::parse(&name.to_string()), Some(name));
    }

    #[test]
    fn other_names_are_not_records() {
        let owner = OwnerToken::new().0;
        for name in [
            String::new(),
            ".json".into(),
            "@.json".into(),
            "orders.json".into(),
            format!("orders@a.{owner}.00000001"),
            format!("Orders@a.{owner}.00000001.json"),
            format!("orders@..{owner}.00000001.json"),
            format!("orders@a.b.{owner}.00000001.json"),
            format!("orders@a.{owner}.1.json"),
            format!("orders@a.{owner}.+0000001.json"),
            format!("or/ders@a.{owner}.00000001.json"),
            format!("{owner}.lock"),
        ] {
            assert_eq!(RecordName::parse(&name), None, "{name}");
        }
        assert!(is_transient(&format!("{owner}.lock")));
        assert!(!is_transient("cargo.lock") && !is_transient("notes.tmp"));
    }

    #[test]
    fn later_owners_sort_behind_earlier_ones_and_differ() {
        let owners: Vec<_> = (0..100).map(|_| OwnerToken::new()).collect();
        assert!(owners.windows(2).all(|w| w[0] != w[1] && w[0].0[..14] <= w[1].0[..14]));
    }
}
