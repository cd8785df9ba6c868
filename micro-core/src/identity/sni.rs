//! How a client tells a server which of its services it means: the service's name as a host name, since
//! TLS carries nothing else before the certificates.

/// The host name under which `service` is asked for in a TLS handshake; the same name has the same host
/// name everywhere, and two names never share one.
///
/// `orders` is `orders.micro`; a name that is no host name (an underscore, a label over 63 bytes) is
/// written in base 32 below `micro-b32`.
///
/// ```
/// use micro_core::identity::tls::server_name;
///
/// assert_eq!(server_name("orders"), "orders.micro");
/// ```
pub fn server_name(service: &str) -> String {
    match is_host(service) {
        true => format!("{service}.micro"),
        false => format!("{}.micro-b32", base32(service.as_bytes())),
    }
}

/// RFC 1123 labels. Underscores are left out: some TLS stacks take them, others refuse the handshake.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 128 && name.split('.').all(label)
}

/// Lower-case base 32 (RFC 4648's alphabet for sorting, no padding) in labels of 56 characters: a name
/// of 128 bytes becomes 208 characters, so that the whole stays below the 253 of a host name.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 5);
    for (i, bits) in bytes.chunks(5).enumerate() {
        if i > 0 && i % 7 == 0 {
            text.push('.');
        }
        let mut block = [0; 8];
        block[3..3 + bits.len()].copy_from_slice(bits);
        let block = u64::from_be_bytes(block);
        for digit in 0..(bits.len() * 8).div_ceil(5) {
            text.push(char::from(ALPHABET[(block >> (35 - 5 * digit)) as usize & 31]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rustls::pki_types::{DnsName, ServerName};

    use super::*;

    #[test]
    fn every_name_is_a_host_name_and_none_collide() {
        let mut names: Vec<String> = [
            "a",
            "orders",
            "order-s",
            "a.b.c",
            "1.2.3.4",
            "127.0.0.1",
            "a_b",
            "-a",
            "a-",
            ".",
            "..",
            "a..b",
            "a.",
            ".a",
            "a.-b",
            "_",
            "micro",
            "x.micro",
            "a.micro-b32",
            "c5fg.micro-b32",
        ]
        .map(String::from)
        .into();
        for (unit, len) in [("x", 63), ("x", 64), ("x", 128), ("_", 128), ("a.", 64), ("-", 127)] {
            names.push(unit.repeat(len));
        }
        let mut seen = HashSet::new();
        for name in &names {
            assert!(crate::text::is_name(name), "{name}");
            let host = server_name(name);
            assert!(DnsName::try_from(host.as_str()).is_ok(), "{name} -> {host}");
            assert!(matches!(ServerName::try_from(host.clone()), Ok(ServerName::DnsName(_))));
            assert!(host.len() <= 253 && host.split('.').all(|l| (1..=63).contains(&l.len())));
            assert!(seen.insert(host.clone()), "{name} -> {host}");
        }
    }

    #[test]
    fn base_32_is_that_of_the_rfc() {
        let of = |text: &str| base32(text.as_bytes());
        assert_eq!(
            [of("f"), of("fo"), of("foo"), of("foob"), of("fooba"), of("foobar")],
            ["co", "cpng", "cpnmu", "cpnmuog", "cpnmuoj1", "cpnmuoj1e8"]
        );
    }
}
