//! Who is let in, and what holds from then on.

use rustls::HandshakeKind;

use super::*;

#[test]
fn two_services_know_each_other_after_the_handshake() {
    let (_dir, source) = dev();
    let server = serving(&source, &["orders", "catalog"]);
    let client = calling(&source, "web", "orders");
    let (client, server) = handshake(client, server, "orders").unwrap();
    let seen_by = |certificates: Option<&[CertificateDer<'static>]>| {
        peer_id(certificates.unwrap()).unwrap().service().to_owned()
    };
    assert_eq!(seen_by(client.peer_certificates()), "orders");
    assert_eq!(seen_by(server.peer_certificates()), "web");
    assert_eq!(client.alpn_protocol(), Some(ALPN));
    assert_eq!(client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
}

#[test]
fn each_service_of_a_process_answers_under_its_own_name() {
    let (_dir, source) = dev();
    let long = "x".repeat(128);
    let services = ["orders", "catalog", "a_b", ".", &long];
    let names: Vec<&str> = services.into_iter().filter(|name| *name != ".").collect();
    for name in &names {
        let server = serving(&source, &names);
        let (client, _) = handshake(calling(&source, "web", name), server, name).unwrap();
        let id = peer_id(client.peer_certificates().unwrap()).unwrap();
        assert_eq!(id.service(), *name);
    }
}

#[test]
fn nothing_is_resumed_and_no_ticket_is_sent() {
    let (_dir, source) = dev();
    let client = calling(&source, "web", "orders");
    for _ in 0..2 {
        let server = serving(&source, &["orders"]);
        // A clone shares the place where the client would keep its sessions.
        let (client, mut server) = handshake(client.clone(), server, "orders").unwrap();
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        let mut late = Vec::new();
        assert!(server.write_hs(&mut late).is_none() && late.is_empty());
        assert!(client.zero_rtt_keys().is_none());
    }
}

#[test]
fn issuers_between_leaf_and_root_are_followed_and_need_state_no_purpose() {
    let root = Ca::new("root");
    let mut ca = root.intermediate("1");
    for name in ["2", "3", "4", "5"] {
        ca = ca.intermediate(name);
    }
    let server = serving(&ca.source_of("orders"), &["orders"]);
    assert!(handshake(calling(&ca.source_of("web"), "web", "orders"), server, "orders").is_ok());
    refused_both_ways(
        &root,
        ca.intermediate("6").issue(&leaf("orders")),
        "the peer's certificate chain is too large: more than 6 certificates",
    );
}

#[test]
fn new_roots_and_leaves_count_from_the_next_handshake() {
    #[derive(Debug)]
    struct Changing(std::sync::Mutex<Arc<dyn IdentitySource>>);
    impl Changing {
        fn now(&self) -> Arc<dyn IdentitySource> {
            Arc::clone(&crate::sync::lock(&self.0))
        }
    }
    impl IdentitySource for Changing {
        fn identity(&self, service: &str) -> Result<Arc<Identity>, IdentityError> {
            self.now().identity(service)
        }
        fn bundle(&self) -> Arc<TrustBundle> {
            self.now().bundle()
        }
        fn domain(&self) -> &str {
            "test.local"
        }
    }
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let ours = Arc::new(Changing(old.source_of("orders").into()));
    let source: Arc<dyn IdentitySource> = Arc::clone(&ours) as _;
    let server = serving(&source, &["orders"]);
    let call = |ca: &Ca| {
        let client = calling(&ca.source_of("web"), "web", "orders");
        handshake(client, server.clone(), "orders").map(drop)
    };
    assert_eq!(call(&old), Ok(()));
    assert!(call(&new).is_err());
    *crate::sync::lock(&ours.0) = new.source_of("orders");
    assert_eq!(call(&new), Ok(()));
    assert!(call(&old).is_err());
}
