//! Peers that are what they should be, and peers that are not: a CA that issues any certificate, and
//! handshakes in memory, as QUIC does them.

mod accepted;
mod quic;
mod refused;

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PKCS_ED25519, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::quic::{ClientConnection, ServerConnection, Version};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use super::tls::{ALPN, client_config, explain, peer_id, server_config, server_name};
use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

// ---- A CA whose certificates may be wrong in any way.

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// What goes between a leaf and the root.
    between: Vec<CertificateDer<'static>>,
}

impl Ca {
    fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), key());
        let certificate = params.self_signed(&key).unwrap().into();
        Self { issuer: Issuer::new(params, key), certificate, between: Vec::new() }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// A CA that this one vouches for; it states no extended key usage, as is common.
    fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), key());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().into();
        Self {
            issuer: Issuer::new(params, key),
            certificate: self.certificate.clone(),
            between: [vec![certificate], self.between.clone()].concat(),
        }
    }

    fn issue(&self, params: &CertificateParams) -> Arc<CertifiedKey> {
        let key = key();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().into();
        certified([vec![leaf], self.between.clone()].concat(), key)
    }

    fn source(&self, own: Arc<CertifiedKey>) -> Arc<dyn IdentitySource> {
        let id = peer_id(&own.cert).unwrap();
        Arc::new(Fixed {
            identity: Arc::new(Identity { id, key: own }),
            bundle: Arc::new(TrustBundle::new([self.certificate.clone()]).unwrap()),
        })
    }

    fn source_of(&self, service: &str) -> Arc<dyn IdentitySource> {
        self.source(self.issue(&leaf(service)))
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn certified(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from(key);
    Arc::new(CertifiedKey::from_der(chain, key, tls::provider()).unwrap())
}

/// A good leaf, to be made bad.
fn leaf(service: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, service);
    params.subject_alt_names = vec![uri(&format!("spiffe://test.local/{service}"))];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn since_now(days: i32) -> rcgen::CertificateParams {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut params = CertificateParams::default();
    let at = |days: i32| {
        let shift = DAY * days.unsigned_abs();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let late = Duration::from_secs(3600);
        epoch + if days < 0 { now - shift } else { now + shift + late }
    };
    params.not_before = at(days);
    params.not_after = at(days + 30);
    params
}

#[derive(Debug)]
struct Fixed {
    identity: Arc<Identity>,
    bundle: Arc<TrustBundle>,
}

impl IdentitySource for Fixed {
    fn identity(&self, _: &str) -> Result<Arc<Identity>, IdentityError> {
        Ok(Arc::clone(&self.identity))
    }

    fn bundle(&self) -> Arc<TrustBundle> {
        Arc::clone(&self.bundle)
    }

    fn domain(&self) -> &str {
        "test.local"
    }
}

// ---- Handshakes.

fn serving(source: &Arc<dyn IdentitySource>, services: &[&str]) -> ServerConfig {
    let services: Vec<String> = services.iter().map(|name| name.to_string()).collect();
    server_config(Arc::clone(source), &services).unwrap()
}

fn calling(source: &Arc<dyn IdentitySource>, own: &str, service: &str) -> ClientConfig {
    client_config(Arc::clone(source), own, service).unwrap()
}

/// Who gave up, and the error as a person would read it.
#[derive(Debug, PartialEq)]
enum Refusal {
    ByClient(String),
    ByServer(String),
}

/// Passes messages to and fro until both are done; the ends, or who refused.
fn handshake(
    client: ClientConfig,
    server: ServerConfig,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), Refusal> {
    let name = ServerName::try_from(server_name(name)).unwrap();
    let mut client =
        ClientConnection::new(Arc::new(client), Version::V1, name, b"c".to_vec()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server), Version::V1, b"s".to_vec()).unwrap();
    for _ in 0..8 {
        // A message of its own for each level of encryption, as QUIC frames carry them.
        let mut more = true;
        while more {
            let mut message = Vec::new();
            more = client.write_hs(&mut message).is_some();
            let read = server.read_hs(&message);
            read.map_err(|error| Refusal::ByServer(words(error)))?;
        }
        more = true;
        while more {
            let mut message = Vec::new();
            more = server.write_hs(&mut message).is_some();
            let read = client.read_hs(&message);
            read.map_err(|error| Refusal::ByClient(words(error)))?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn words(error: rustls::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("other error: ").unwrap_or(&text).to_owned()
}

/// What a good client says to a server that shows `shown`.
fn server_shows(ca: &Ca, shown: Arc<CertifiedKey>) -> Refusal {
    let mut server = serving(&ca.source_of("orders"), &["orders"]);
    server.cert_resolver = Arc::new(SingleCertAndKey::from(shown));
    let client = calling(&ca.source_of("web"), "web", "orders");
    handshake(client, server, "orders").expect_err("refused")
}

/// What a good server says to a client that shows `shown`.
fn client_shows(ca: &Ca, shown: Arc<CertifiedKey>) -> Refusal {
    let mut client = calling(&ca.source_of("web"), "web", "orders");
    client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
    let server = serving(&ca.source_of("orders"), &["orders"]);
    handshake(client, server, "orders").expect_err("refused")
}

/// Both ways in which `shown` may be met are refused with the same words.
fn refused_both_ways(ca: &Ca, shown: Arc<CertifiedKey>, why: &str) {
    assert_eq!(server_shows(ca, Arc::clone(&shown)), Refusal::ByClient(why.to_owned()));
    assert_eq!(client_shows(ca, shown), Refusal::ByServer(why.to_owned()));
}

fn dev() -> (crate::home::tests::TempDir, Arc<dyn IdentitySource>) {
    let dir = crate::home::tests::TempDir::new();
    let ca = Arc::new(DevCa::open(&dir.0).unwrap());
    (dir, ca)
}
