//! Certificates that must not be accepted, and what is said about them.

use std::fmt::Debug;
use std::sync::Arc;

use micro_core::app::App;
use micro_core::config::Settings;
use micro_core::identity::{DevCa, Identity, IdentityError, IdentitySource, SpiffeId, TrustBundle};
use micro_core::registry::LocalRegistry;
use micro_core::transport::quic::Quic;
use micro_core::{Code, Executed};
use micro_tests::fixture::{Counter, CounterClient};
use micro_tests::process::{Connected, Home};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PKCS_ED25519, SanType,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{fixture, serve};

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_two_cas_do_not_talk_even_if_they_find_each_other() {
    let (one, other) = (Home::new(), Home::new());
    let shared = one.path().join("registry");
    let registry = format!("local://{}", shared.display());
    let service = fixture(&one, "counter").args(["--registry", &registry]).serve().await;

    let foreign = other.program(env!("CARGO_BIN_EXE_caller")).args(["--registry", &registry]);
    let foreign = foreign.finish().await;
    assert_eq!(foreign.code(), Some(1), "{foreign:#?}");
    assert!(foreign.errors().contains("not issued by our CA"), "{foreign:#?}");
    assert!(foreign.errors().contains("trust domain"), "{foreign:#?}");

    let app = Connected::new(other.path(), &shared).await;
    let counter: CounterClient = app.service();
    let status = counter.add(1, 0).await.expect_err("another CA");
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No));

    let ours = one.program(env!("CARGO_BIN_EXE_caller")).args(["--registry", &registry]);
    assert_eq!(ours.finish().await.out, [format!("pid {}", service.pid())]);
    assert_eq!(service.out.now(), [""; 0], "nothing ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_certificate_has_expired_is_not_called() {
    let home = Home::new();
    // Makes the CA.
    drop(home.client().await);
    let expired = Arc::new(Expired::of(&home));
    let app = App::new()
        .settings(Settings::default())
        .registry(Arc::new(LocalRegistry::open(home.path().join("registry")).expect("opens")))
        .transport(Arc::new(Quic::new(expired, "counter", vec!["counter".into()])))
        .service(Counter);
    let _service = app.start().await.expect("starts");
    let caller = home.program(env!("CARGO_BIN_EXE_caller")).finish().await;
    assert_eq!(caller.code(), Some(1), "{caller:#?}");
    assert!(caller.errors().contains("expired 3 days ago"), "{caller:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_certificate_has_expired_is_not_served() {
    let home = Home::new();
    let service = serve(&home, "counter").await;
    let registry = home.path().join("registry");
    let app = Connected::with(Arc::new(Expired::of(&home)), &registry).await;
    let counter: CounterClient = app.service();
    let status = counter.add(1, 0).await.expect_err("expired");
    assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No), "{status}");
    assert!(status.message().contains("did not accept our certificate"), "{status}");
    assert!(status.message().contains("expired 3 days ago"), "{status}");

    let app = home.client().await;
    let counter: CounterClient = app.service();
    assert_eq!(counter.add(2, 0).await.expect("in time"), 2);
    service.terminate();
    assert_eq!(service.finished().await.out, ["add 2"], "nothing else ran");
}

/// Certificates of a home's own CA that ended three days ago.
#[derive(Debug)]
struct Expired {
    ca: DevCa,
    issuer: IssuerOf,
}

/// The issuer, without showing it.
struct IssuerOf(Issuer<'static, KeyPair>);

impl Debug for IssuerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Expired {
    fn of(home: &Home) -> Self {
        let ca = DevCa::open(home.path()).expect("a CA");
        let text = std::fs::read_to_string(home.path().join("dev-ca/ca")).expect("its file");
        let key = text.lines().find_map(|line| line.strip_prefix("key ")).expect("its key");
        let key: Vec<u8> = (0..key.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&key[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let key = PrivatePkcs8KeyDer::from(key);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519).expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = name("micro development CA");
        params.distinguished_name.push(DnType::OrganizationName, ca.domain());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self { ca, issuer: IssuerOf(Issuer::new(params, key)) }
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

impl IdentitySource for Expired {
    fn identity(&self, service: &str) -> Result<Arc<Identity>, IdentityError> {
        let id = SpiffeId::new(self.ca.domain(), service).expect("a name");
        let mut params = CertificateParams::default();
        params.distinguished_name = name(service);
        let uri = id.to_string().try_into().expect("ASCII");
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let days = |count: u32| micro::secs(24 * 3600) * count + micro::secs(60);
        let now = now.expect("after 1970");
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + (now - days(10));
        params.not_after = epoch + (now - days(3));
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let leaf = params.signed_by(&key, &self.issuer.0).expect("signed");
        Identity::new(vec![leaf.into()], PrivateKeyDer::from(key)).map(Arc::new)
    }

    fn bundle(&self) -> Arc<TrustBundle> {
        self.ca.bundle()
    }

    fn domain(&self) -> &str {
        self.ca.domain()
    }
}
