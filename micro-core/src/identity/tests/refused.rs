//! Who is not let in, and the words for it.

use std::error::Error as _;
use std::io::Cursor;

use rustls::client::ResolvesClientCert;

use super::*;

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Ca::new("ours"), Ca::new("theirs"));
    let why = "the peer's certificate was not issued by our CA";
    refused_both_ways(&ours, theirs.issue(&leaf("orders")), why);
    // Not even when that authority took the name of ours.
    refused_both_ways(&ours, Ca::new("ours").issue(&leaf("orders")), why);
}

#[test]
fn two_users_are_told_that_their_trust_domains_differ() {
    let (_a, ours) = dev();
    let (_b, theirs) = dev();
    let client = calling(&ours, "web", "orders");
    let refused = handshake(client, serving(&theirs, &["orders"]), "orders").err().unwrap();
    let (ours, theirs) = (ours.domain(), theirs.domain());
    let why = format!(
        "the peer's certificate was not issued by our CA: \
         it says to be of trust domain `{theirs}`, ours is `{ours}`"
    );
    assert_eq!(refused, Refusal::ByClient(why));
}

#[test]
fn another_service_of_our_domain_is_no_substitute() {
    let ca = Ca::new("ca");
    assert_eq!(
        server_shows(&ca, ca.issue(&leaf("catalog"))),
        Refusal::ByClient("the peer at this address is `catalog`, not `orders`".to_owned())
    );
}

#[test]
fn another_domain_of_our_authority_is_refused() {
    let ca = Ca::new("ca");
    let mut params = leaf("orders");
    params.subject_alt_names = vec![uri("spiffe://other.local/orders")];
    let why = "the peer's certificate is of trust domain `other.local`, ours is `test.local`";
    refused_both_ways(&ca, ca.issue(&params), why);
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let ca = Ca::new("ca");
    for (days, why) in [
        (-33, "the peer's certificate expired 3 days ago"),
        (5, "the peer's certificate becomes valid in 5 days; do both clocks agree?"),
    ] {
        let mut params = leaf("orders");
        let dates = since_now(days);
        (params.not_before, params.not_after) = (dates.not_before, dates.not_after);
        refused_both_ways(&ca, ca.issue(&params), why);
    }
}

#[test]
fn an_issuer_out_of_its_time_is_refused() {
    let root = Ca::new("root");
    let mut params = Ca::params("late");
    let dates = since_now(-33);
    (params.not_before, params.not_after) = (dates.not_before, dates.not_after);
    let key = key();
    let between = params.signed_by(&key, &root.issuer).unwrap().into();
    let late = Ca {
        issuer: Issuer::new(params, key),
        certificate: root.certificate.clone(),
        between: vec![between],
    };
    let shown = late.issue(&leaf("orders"));
    refused_both_ways(&root, shown, "the peer's certificate expired 3 days ago");
}

#[test]
fn a_self_signed_certificate_is_refused() {
    let ca = Ca::new("ca");
    let key = key();
    let own = leaf("orders").self_signed(&key).unwrap().into();
    let why = "the peer's certificate was not issued by our CA";
    refused_both_ways(&ca, certified(vec![own], key), why);
}

#[test]
fn a_leaf_may_not_issue() {
    let ca = Ca::new("ca");
    let key = key();
    let params = leaf("orders");
    let middle = params.signed_by(&key, &ca.issuer).unwrap().into();
    let rogue = Ca {
        issuer: Issuer::new(params, key),
        certificate: ca.certificate.clone(),
        between: vec![middle],
    };
    refused_both_ways(
        &ca,
        rogue.issue(&leaf("orders")),
        "the peer's certificate is not valid: EndEntityUsedAsCa",
    );
}

#[test]
fn an_authority_is_no_service() {
    let ca = Ca::new("ca");
    let mut params = leaf("orders");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let why = "the peer's certificate is not valid: CaUsedAsEndEntity";
    refused_both_ways(&ca, ca.issue(&params), why);
}

#[test]
fn exactly_one_identity_counts() {
    let ca = Ca::new("ca");
    let dns = SanType::DnsName("orders".try_into().unwrap());
    let good = || uri("spiffe://test.local/orders");
    let instead_of_one =
        |found| format!("the peer's certificate names {found} identities (URI SAN) instead of one");
    for (names, why) in [
        (vec![], instead_of_one(0)),
        (vec![dns], instead_of_one(0)),
        (vec![good(), good()], instead_of_one(2)),
        (vec![good(), uri("https://example.org")], instead_of_one(2)),
        (
            vec![uri("https://example.org")],
            "the peer's certificate has a URI that is no identity of a service: \
             it must begin with `spiffe://`"
                .to_owned(),
        ),
        (
            vec![uri("spiffe://test.local/ns/orders")],
            "the peer's certificate has a URI that is no identity of a service: \
             the path must be one service name of 1 to 128 of `a-z 0-9 - _ .`"
                .to_owned(),
        ),
    ] {
        let mut params = leaf("orders");
        params.subject_alt_names = names;
        refused_both_ways(&ca, ca.issue(&params), &why);
    }
}

#[test]
fn a_certificate_must_state_the_purpose_it_is_used_for() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    let ca = Ca::new("ca").intermediate("between");
    let with = |usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = leaf("orders");
        params.extended_key_usages = usages.to_vec();
        ca.issue(&params)
    };
    for usages in [&[ClientAuth][..], &[CodeSigning], &[]] {
        let why = "the peer's certificate is not for use as a server \
                   (extended key usage serverAuth)";
        assert_eq!(server_shows(&ca, with(usages)), Refusal::ByClient(why.to_owned()));
    }
    for usages in [&[ServerAuth][..], &[CodeSigning], &[]] {
        let why = "the peer's certificate is not for use as a client \
                   (extended key usage clientAuth)";
        assert_eq!(client_shows(&ca, with(usages)), Refusal::ByServer(why.to_owned()));
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    #[derive(Debug)]
    struct Nobody;
    impl ResolvesClientCert for Nobody {
        fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            None
        }
        fn has_certs(&self) -> bool {
            false
        }
    }
    let ca = Ca::new("ca");
    let mut client = calling(&ca.source_of("web"), "web", "orders");
    client.client_auth_cert_resolver = Arc::new(Nobody);
    let server = serving(&ca.source_of("orders"), &["orders"]);
    let refused = handshake(client, server, "orders").err().unwrap();
    assert_eq!(refused, Refusal::ByServer("peer sent no certificates".to_owned()));
}

#[test]
fn a_certificate_without_its_key_is_of_no_use() {
    let ca = Ca::new("ca");
    let mut stolen = (*ca.issue(&leaf("orders"))).clone();
    stolen.key = ca.issue(&leaf("orders")).key.clone();
    let bad_signature = "invalid peer certificate: BadSignature";
    refused_both_ways(&ca, Arc::new(stolen), bad_signature);
}

#[test]
fn a_name_that_is_not_served_ends_the_handshake() {
    let (_dir, source) = dev();
    let refused = handshake(
        calling(&source, "web", "payments"),
        serving(&source, &["orders", "catalog"]),
        "payments",
    );
    let why = "unexpected error: no server certificate chain resolved".to_owned();
    assert_eq!(refused.err(), Some(Refusal::ByServer(why.clone())));
    let mut nameless = calling(&source, "web", "orders");
    nameless.enable_sni = false;
    let refused = handshake(nameless, serving(&source, &["orders"]), "orders");
    assert_eq!(refused.err(), Some(Refusal::ByServer(why)));
}

#[test]
fn another_application_protocol_or_none_is_refused() {
    let (_dir, source) = dev();
    let none = "peer doesn't support any known protocol".to_owned();
    for protocols in [vec![], vec![b"h3".to_vec()], vec![b"micro/2".to_vec()]] {
        let mut client = calling(&source, "web", "orders");
        client.alpn_protocols = protocols.clone();
        let refused = handshake(client, serving(&source, &["orders"]), "orders");
        assert_eq!(refused.err(), Some(Refusal::ByServer(none.clone())));
    }
    let mut server = serving(&source, &["orders"]);
    server.alpn_protocols = vec![];
    let refused = handshake(calling(&source, "web", "orders"), server, "orders");
    assert_eq!(refused.err(), Some(Refusal::ByServer(none)));
}

#[test]
fn a_client_of_tls_1_2_is_refused() {
    let (_dir, source) = dev();
    let hello = [
        &[3, 3][..],                 // TLS 1.2
        &[7; 32],                    // random
        &[0],                        // no session
        &[0, 2, 0xc0, 0x2b],         // ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        &[1, 0],                     // no compression
        &[0, 22],                    // extensions
        &[0, 10, 0, 4, 0, 2, 0, 29], // groups: x25519
        &[0, 13, 0, 4, 0, 2, 4, 3],  // signatures: ECDSA P-256
        &[0, 11, 0, 2, 1, 0],        // points: uncompressed
    ]
    .concat();
    let server = serving(&source, &["orders"]);
    let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
    server.read_tls(&mut Cursor::new(record(1, &hello))).unwrap();
    let error = server.process_new_packets().unwrap_err().to_string();
    assert!(error.starts_with("peer is incompatible: "), "{error}");
}

#[test]
fn a_server_of_tls_1_2_is_refused() {
    let (_dir, source) = dev();
    let name = ServerName::try_from(server_name("orders")).unwrap();
    let client = calling(&source, "web", "orders");
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    client.write_tls(&mut Vec::new()).unwrap();
    let hello = [&[3, 3][..], &[7; 32], &[0], &[0xc0, 0x2b], &[0]].concat();
    client.read_tls(&mut Cursor::new(record(2, &hello))).unwrap();
    let error = client.process_new_packets().unwrap_err().to_string();
    assert!(error.starts_with("peer is incompatible: "), "{error}");
}

/// A handshake message of type `kind` in a record of its own.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap();
    let mut bytes = vec![22, 3, 3];
    bytes.extend((len + 4).to_be_bytes());
    bytes.extend([kind, 0]);
    bytes.extend(len.to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn what_is_too_large_is_not_looked_at_closely() {
    let ca = Ca::new("ca");
    let mut params = leaf("orders");
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 4, 1, 99999, 1],
        vec![0; 9000],
    )];
    let why = "the peer's certificate chain is too large: a certificate of more than 8 KiB";
    refused_both_ways(&ca, ca.issue(&params), why);
}

#[test]
fn a_key_that_is_costly_to_use_is_refused() {
    struct Huge;
    impl rcgen::PublicKeyData for Huge {
        fn der_bytes(&self) -> &[u8] {
            &[7; 1030] // RSA with 8192 bits
        }
        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_RSA_SHA256
        }
    }
    let ca = Ca::new("ca");
    let huge = leaf("orders").signed_by(&Huge, &ca.issuer).unwrap();
    let key = ca.issue(&leaf("orders")).key.clone();
    let shown = Arc::new(CertifiedKey::new(vec![huge.into()], key));
    let why = "the peer's certificate chain is too large: a key over RSA with 4096 bits";
    refused_both_ways(&ca, shown, why);
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let good = Ca::new("ca").issue(&leaf("orders")).cert[0].to_vec();
    for end in [0, 1, 2, good.len() / 2, good.len() - 1] {
        let bytes = CertificateDer::from(good[..end].to_vec());
        assert!(matches!(peer_id(&[bytes]), Err(PeerRefused::Malformed(_))), "{end}");
    }
    assert_eq!(peer_id(&[]), Err(PeerRefused::Missing));
}

#[test]
fn an_identity_needs_one_id_and_its_own_key() {
    let ca = Ca::new("ca");
    let why =
        |made: Result<Identity, IdentityError>| made.unwrap_err().source().unwrap().to_string();
    let nameless = {
        let mut params = leaf("orders");
        params.subject_alt_names.clear();
        ca.issue(&params).cert.clone()
    };
    let text = why(Identity::new(nameless, key().into()));
    assert!(text.contains("0 identities"), "{text}");
    let text = why(Identity::new(ca.issue(&leaf("orders")).cert.clone(), key().into()));
    assert!(text.contains("KeyMismatch"), "{text}");
    let text = why(Identity::new(Vec::new(), key().into()));
    assert_eq!(text, "the peer showed no certificate");
    assert!(TrustBundle::new([]).is_err());
}

#[test]
fn a_config_for_a_name_that_cannot_be_is_refused_at_once() {
    let (_dir, source) = dev();
    let bad = |made: Result<(), IdentityError>| {
        let error = made.unwrap_err();
        assert!(matches!(error, IdentityError::Name { .. }), "{error}");
    };
    bad(client_config(Arc::clone(&source), "Web", "orders").map(drop));
    bad(client_config(Arc::clone(&source), "web", "../orders").map(drop));
    bad(server_config(source, &["a/b".to_owned()]).map(drop));
}
