//! An instance as DNS records: its id is the name, its JSON is cut into entries of the TXT record.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mdns_sd::{ResolvedService, ScopedIp, ServiceInfo};

use super::{MdnsOptions, SERVICE};
use crate::registry::{Instance, InstanceId, RegistryError};
use crate::transport::Address;

/// Bytes of the record in one entry; with the key and `=` it must stay within 255.
const PIECE: usize = 248;
/// Entries of the longest record.
const PIECES: usize = Instance::MAX_BYTES.div_ceil(PIECE);

pub(super) fn full_name(id: &InstanceId) -> String {
    format!("{id}.{SERVICE}")
}

/// The id in a full name, unless it is not one of ours.
pub(super) fn id(full_name: &str) -> Option<InstanceId> {
    let label = full_name.strip_suffix(SERVICE)?.strip_suffix('.')?;
    InstanceId::parse(label.to_ascii_lowercase()).ok()
}

/// What is announced of an instance: all but its metadata, which is nobody's business on a network.
pub(super) fn announced(
    instance: &Instance,
    options: &MdnsOptions,
) -> Result<ServiceInfo, RegistryError> {
    instance.encode()?;
    let port = reachable(instance, options)?;
    let public = Instance { metadata: BTreeMap::new(), ..instance.clone() };
    let json = String::from_utf8_lossy(&public.encode()?).into_owned();
    let mut entries = Vec::with_capacity(PIECES);
    let mut rest = json.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        entries.push((key(entries.len()), piece));
        rest = after;
    }
    let host = format!("{}.local.", instance.id);
    let id = instance.id.as_str();
    let mut info = ServiceInfo::new(SERVICE, id, &host, (), port, &entries[..])
        .map_err(|error| RegistryError::Invalid(format!("cannot announce `{id}`: {error}")))?
        .enable_addr_auto();
    // Nobody else has this id, so nobody has to be asked first, which would take most of a second.
    info.set_requires_probe(false);
    Ok(info)
}

/// The port of the first address, if others can reach any.
fn reachable(instance: &Instance, options: &MdnsOptions) -> Result<u16, RegistryError> {
    let invalid = |why: &str| {
        RegistryError::Invalid(format!("`{}` cannot be announced: {why}", instance.service))
    };
    let port = instance.addresses.iter().find_map(|address| {
        address.authority().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok())
    });
    let port = port.ok_or_else(|| invalid("it has no address with a port"))?;
    let local = |a: &Address| socket(a).is_some_and(|address| address.ip().is_loopback());
    if !options.loopback_only && instance.addresses.iter().all(local) {
        return Err(invalid(
            "it listens on the loopback interface only; listen on `0.0.0.0`, or use the registry for \
             the loopback interface",
        ));
    }
    Ok(port)
}

/// Reads an announcement, which anyone may have made.
pub(super) fn resolved(found: &ResolvedService) -> Result<Instance, RegistryError> {
    let invalid = |why: &str| RegistryError::Invalid(format!("not a record of ours: {why}"));
    let id = id(&found.fullname).ok_or_else(|| invalid("its name"))?;
    let mut json = Vec::new();
    for number in 0..=PIECES {
        let Some(Some(piece)) = found.get_property_val(&key(number)) else {
            break;
        };
        json.extend_from_slice(piece);
    }
    let mut instance = Instance::decode(&json)?;
    if instance.id != id {
        return Err(invalid("its id is not its name"));
    }
    instance.metadata.clear();
    let hosts = found.addresses.iter().map(ScopedIp::to_ip_addr).collect();
    instance.addresses = addresses(&instance.addresses, hosts);
    Ok(instance)
}

/// What a lookup in the announcing process itself finds.
pub(super) fn as_seen_here(instance: &Instance) -> Instance {
    Instance {
        addresses: addresses(&instance.addresses, vec![Ipv4Addr::LOCALHOST.into()]),
        metadata: BTreeMap::new(),
        ..instance.clone()
    }
}

/// The addresses in a form that can be dialled: `0.0.0.0` means where the announcement came from.
fn addresses(announced: &[Address], mut hosts: Vec<IpAddr>) -> Vec<Address> {
    // Addresses of one link mean nothing without its name.
    hosts.retain(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
    hosts.sort_unstable();
    hosts.dedup();
    let near = hosts.iter().any(IpAddr::is_loopback);
    let mut all = Vec::new();
    for address in announced {
        match socket(address) {
            Some(at) if at.ip().is_unspecified() => {
                let known = hosts.iter().filter(|ip| at.is_ipv6() || ip.is_ipv4());
                all.extend(
                    known.map(|ip| Address::new(address.scheme(), SocketAddr::new(*ip, at.port()))),
                );
            }
            // Somebody else's loopback interface would be ours.
            Some(at) if at.ip().is_loopback() && !near => {}
            _ => all.push(address.clone()),
        }
    }
    all.truncate(Instance::MAX_ADDRESSES);
    all
}

fn socket(address: &Address) -> Option<SocketAddr> {
    address.authority().parse().ok()
}

fn key(number: usize) -> String {
    format!("r{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(addresses: &[&str]) -> Instance {
        Instance {
            id: InstanceId::random(),
            service: "orders".into(),
            version: 1,
            addresses: addresses.iter().map(|a| a.parse().expect("address")).collect(),
            metadata: BTreeMap::from([("zone".into(), "secret".into())]),
            subscriptions: Vec::new(),
        }
    }

    fn through(instance: &Instance, hosts: &[&str]) -> Result<Instance, RegistryError> {
        let info = announced(instance, &MdnsOptions::default())?;
        let mut found = info.as_resolved_service();
        found.addresses = hosts.iter().map(|h| h.parse::<IpAddr>().expect("ip").into()).collect();
        resolved(&found)
    }

    fn dialled(addresses: &[&str], hosts: &[&str]) -> Vec<String> {
        let instance = through(&instance(addresses), hosts).expect("announced");
        instance.addresses.iter().map(Address::to_string).collect()
    }

    #[test]
    fn everything_but_metadata_arrives_even_if_long() {
        let mut long = instance(&["quic://192.0.2.1:4433", "tls://192.0.2.1:4434"]);
        long.service = "s".repeat(128);
        let group = "g".repeat(40);
        long.subscriptions = (0..30)
            .map(|i| crate::registry::Listening {
                pattern: crate::topic::Pattern::parse(format!("topic-{i}.>")).expect("pattern"),
                group: group.clone(),
                broadcast: i % 2 == 0,
            })
            .collect();
        let arrived = through(&long, &["192.0.2.1"]).expect("announced");
        assert!(arrived.metadata.is_empty());
        assert_eq!(arrived, Instance { metadata: BTreeMap::new(), ..long });
    }

    #[test]
    fn any_address_becomes_those_of_the_host() {
        let hosts = ["192.0.2.7", "2001:db8::7", "fe80::7"];
        assert_eq!(dialled(&["quic://0.0.0.0:4433"], &hosts), ["quic://192.0.2.7:4433"]);
        assert_eq!(
            dialled(&["quic://[::]:4433"], &hosts),
            ["quic://192.0.2.7:4433", "quic://[2001:db8::7]:4433"]
        );
    }

    #[test]
    fn a_foreign_loopback_address_is_not_dialled() {
        let both = ["quic://127.0.0.1:1", "quic://192.0.2.7:1"];
        assert_eq!(dialled(&both, &["192.0.2.7"]), ["quic://192.0.2.7:1"]);
        assert_eq!(dialled(&both, &["127.0.0.1"]), both);
        let error = through(&instance(&["quic://127.0.0.1:1"]), &[]).expect_err("unreachable");
        assert!(error.to_string().contains("listen on `0.0.0.0`"), "{error}");
        assert!(through(&instance(&[]), &[]).is_err());
    }

    #[test]
    fn records_of_others_are_errors() {
        let info = announced(&instance(&["quic://192.0.2.1:1"]), &MdnsOptions::default());
        let good = info.expect("announced").as_resolved_service();
        assert!(resolved(&good).is_ok());
        let mut other_name = good.clone();
        other_name.fullname = full_name(&InstanceId::random());
        let mut no_text = good.clone();
        no_text.txt_properties = mdns_sd::TxtProperties::new();
        let mut printer = good;
        printer.fullname = "Printer (2)._ipp._tcp.local.".into();
        for found in [other_name, no_text, printer] {
            assert!(resolved(&found).is_err(), "{found:?}");
        }
    }
}
