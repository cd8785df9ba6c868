//! The record of one instance, its bounds, and its JSON form.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::RegistryError;
use crate::id::Id;
use crate::text::is_name;
use crate::topic::Pattern;
use crate::transport::Address;

/// One running copy of a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Instance {
    /// Its id, unique among all instances of all services.
    pub id: InstanceId,
    /// The service that it is a copy of.
    pub service: String,
    /// The version of the service.
    pub version: u32,
    /// Where it is reached; the first is the preferred one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "as_text")]
    pub addresses: Vec<Address>,
    /// What else callers may want to know, e.g. a zone. Visible to all who can read the registry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What the embedded broker delivers to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Listening>,
}

/// One subscription of an instance, for the embedded broker.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Listening {
    /// The topics.
    pub pattern: Pattern,
    /// Of the instances in one group, one gets each message.
    pub group: String,
    /// Whether every instance gets each message instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broadcast: bool,
}

impl Instance {
    /// Bytes of the longest record, in JSON.
    pub const MAX_BYTES: usize = 4 * 1024;
    /// Addresses in one record.
    pub const MAX_ADDRESSES: usize = 16;
    /// Pairs of metadata in one record.
    pub const MAX_METADATA: usize = 32;
    /// Subscriptions in one record.
    pub const MAX_SUBSCRIPTIONS: usize = 64;

    /// The record in JSON, as backends store it.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when a name is not one or a limit is passed.
    pub fn encode(&self) -> Result<Vec<u8>, RegistryError> {
        self.check()?;
        let bytes = serde_json::to_vec(self)
            .map_err(|error| RegistryError::Invalid(format!("cannot encode a record: {error}")))?;
        if bytes.len() > Self::MAX_BYTES {
            return Err(RegistryError::Invalid(format!(
                "the registry record of `{}` has {} bytes, and at most {} are allowed; shorten its \
                 metadata or its subscriptions",
                self.service,
                bytes.len(),
                Self::MAX_BYTES
            )));
        }
        Ok(bytes)
    }

    /// Reads what [`Instance::encode`] wrote, from a source that is not trusted.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, RegistryError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(RegistryError::Invalid(format!(
                "a registry record has {} bytes, and at most {} are allowed",
                bytes.len(),
                Self::MAX_BYTES
            )));
        }
        let instance: Self = serde_json::from_slice(bytes)
            .map_err(|error| RegistryError::Invalid(format!("not a registry record: {error}")))?;
        instance.check()?;
        Ok(instance)
    }

    fn check(&self) -> Result<(), RegistryError> {
        named("service", &self.service)?;
        for listening in &self.subscriptions {
            named("group", &listening.group)?;
        }
        for address in &self.addresses {
            let authority = address.authority();
            if authority.is_empty() || !authority.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(RegistryError::Invalid(format!(
                    "{:?} of `{}` is not an address like `quic://127.0.0.1:4433`",
                    address.as_str(),
                    self.service
                )));
            }
        }
        for (what, count, most) in [
            ("addresses", self.addresses.len(), Self::MAX_ADDRESSES),
            ("pairs of metadata", self.metadata.len(), Self::MAX_METADATA),
            ("subscriptions", self.subscriptions.len(), Self::MAX_SUBSCRIPTIONS),
        ] {
            if count > most {
                return Err(RegistryError::Invalid(format!(
                    "`{}` has {count} {what}, and at most {most} are allowed",
                    self.service
                )));
            }
        }
        Ok(())
    }
}

fn named(what: &str, name: &str) -> Result<(), RegistryError> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(128).collect();
    Err(RegistryError::Invalid(format!("{what} name {shown:?} is not 1 to 128 of `a-z 0-9 _ - .`")))
}

/// The id of an instance: 1 to 63 of `a-z 0-9 _ -`, which is also a file name and a DNS label.
#[derive(Clone, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

impl InstanceId {
    /// Bytes of the longest id.
    pub const MAX_BYTES: usize = 63;

    /// A new id.
    pub fn random() -> Self {
        Self(Id::random().to_string())
    }

    /// Checks the text.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when it is not an id.
    pub fn parse(text: impl Into<String>) -> Result<Self, RegistryError> {
        let text = text.into();
        if is_name(&text) && text.len() <= Self::MAX_BYTES && !text.contains('.') {
            return Ok(Self(text));
        }
        let shown: String = text.chars().take(Self::MAX_BYTES).collect();
        Err(RegistryError::Invalid(format!(
            "instance id {shown:?} is not 1 to {} of `a-z 0-9 _ -`",
            Self::MAX_BYTES
        )))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstanceId {
    type Error = RegistryError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text)
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses as their texts: what they look like elsewhere is not the registry's business.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::transport::Address;

    pub(super) fn serialize<S: Serializer>(list: &[Address], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(Address::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Address>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|e| D::Error::custom(format!("{e}"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Instance {
        Instance {
            id: InstanceId::random(),
            service: "orders".into(),
            version: 3,
            addresses: vec!["quic://127.0.0.1:4433".parse().expect("address")],
            metadata: BTreeMap::from([("zone".into(), "a".into())]),
            subscriptions: vec![Listening {
                pattern: Pattern::parse("orders.*").expect("pattern"),
                group: "orders".into(),
                broadcast: true,
            }],
        }
    }

    #[test]
    fn a_record_survives_its_json() {
        let instance = instance();
        let bytes = instance.encode().expect("valid");
        assert_eq!(Instance::decode(&bytes).expect("its own"), instance);
    }

    #[test]
    fn records_of_a_newer_version_are_read() {
        let json = br#"{"id":"a","service":"orders","version":1,"later":{"x":[1]}}"#;
        assert_eq!(Instance::decode(json).expect("unknown fields are skipped").version, 1);
    }

    #[test]
    fn each_limit_is_accepted_and_one_more_is_refused() {
        let pairs = |n| (0..n).map(|i| (format!("k{i}"), "v".to_owned())).collect();
        let check = |change: &dyn Fn(&mut Instance), accepted: bool| {
            let mut instance = instance();
            change(&mut instance);
            assert_eq!(instance.encode().is_ok(), accepted, "{instance:?}");
        };
        check(&|i| i.metadata = pairs(Instance::MAX_METADATA), true);
        check(&|i| i.metadata = pairs(Instance::MAX_METADATA + 1), false);
        let one = instance().subscriptions.remove(0);
        check(&|i| i.subscriptions = vec![one.clone(); Instance::MAX_SUBSCRIPTIONS], true);
        check(&|i| i.subscriptions = vec![one.clone(); Instance::MAX_SUBSCRIPTIONS + 1], false);
        let address = instance().addresses.remove(0);
        check(&|i| i.addresses = vec![address.clone(); Instance::MAX_ADDRESSES], true);
        check(&|i| i.addresses = vec![address.clone(); Instance::MAX_ADDRESSES + 1], false);
        check(&|i| i.service = "s".repeat(128), true);
        check(&|i| i.service = "s".repeat(129), false);
        let free = Instance::MAX_BYTES - instance().encode().expect("valid").len();
        check(&|i| i.metadata.values_mut().for_each(|v| *v = "x".repeat(free + 1)), true);
        check(&|i| i.metadata.values_mut().for_each(|v| *v = "x".repeat(free + 2)), false);
    }

    #[test]
    fn hostile_texts_are_errors() {
        for json in [
            &br#"{"id":"../x","service":"orders","version":1}"#[..],
            br#"{"id":"a","service":"../../etc/passwd","version":1}"#,
            br#"{"id":"a","service":"Orders","version":1}"#,
            br#"{"id":"a","service":"orders","version":-1}"#,
            br#"{"id":"a","service":"orders","version":1,"addresses":["nonsense"]}"#,
            br#"{"id":"a","service":"orders","version":1,"addresses":["quic://"]}"#,
            br#"{"id":"a","service":"orders","version":1,"addresses":["quic://a\nb:1"]}"#,
            br#"{"id":"a","service":"orders","version":1,"subscriptions":[{"pattern":"a..b","group":"g"}]}"#,
            br#"{"id":"a","service":"orders"}"#,
            b"\xff\xfe",
            b"",
        ] {
            assert!(Instance::decode(json).is_err(), "{}", String::from_utf8_lossy(json));
        }
        assert!(Instance::decode(&b"[".repeat(Instance::MAX_BYTES)).is_err(), "deep nesting");
        assert!(Instance::decode(&b" ".repeat(Instance::MAX_BYTES + 1)).is_err(), "too long");
    }
}
