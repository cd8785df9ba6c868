//! The TLS settings of micro: version 1.3 only, both sides show a certificate, nothing is resumed and
//! nothing is sent early (a resumed session would skip the client's certificate).
//!
//! The settings are for QUIC and TCP alike. Over TCP, TLS lets a peer that offers no protocol at all pass,
//! so the transport there checks for [`ALPN`] itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use quinn::ConnectionError;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, Error, ServerConfig, SignatureScheme};

use super::verify::{self, Clients, Server};
use super::{IdentityError, IdentitySource, PeerRefused, SpiffeId};

pub use super::sni::server_name;

/// A certificate as peers show it.
pub type Certificate = CertificateDer<'static>;

/// The application protocol that both sides must name in the handshake.
pub const ALPN: &[u8] = b"micro/1";

/// The settings of a process that serves `services`, each with a certificate of its own, chosen by the
/// name that the client asks for (see [`server_name`]); any other name ends the handshake.
///
/// Callers must show a certificate of the same trust domain.
///
/// # Errors
///
/// [`IdentityError`] when `source` has no identity for one of the services now.
pub fn server_config(
    source: Arc<dyn IdentitySource>,
    services: &[String],
) -> Result<ServerConfig, IdentityError> {
    let mut by_host = HashMap::new();
    for service in services {
        source.identity(service)?;
        by_host.insert(server_name(service), service.clone());
    }
    let clients = Clients { source: Arc::clone(&source) };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(Arc::new(clients))
        .with_cert_resolver(Arc::new(OwnServices { source, by_host }));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The settings with which the service `own` calls `expected_service`: whoever answers must be that
/// service of the same trust domain. Connect to the name that [`server_name`] gives.
///
/// # Errors
///
/// [`IdentityError`] when `source` has no identity for `own` now, or `expected_service` cannot be a name.
pub fn client_config(
    source: Arc<dyn IdentitySource>,
    own: &str,
    expected_service: &str,
) -> Result<ClientConfig, IdentityError> {
    source.identity(own)?;
    SpiffeId::new(source.domain(), expected_service).map_err(|error| IdentityError::Name {
        name: expected_service.to_owned(),
        source: error,
    })?;
    let server = Server { source: Arc::clone(&source), wanted: expected_service.to_owned() };
    let own = own.to_owned();
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        // "Dangerous" is any verifier but that for web servers; ours asks for more, not for less.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(server))
        .with_client_cert_resolver(Arc::new(OwnIdentity { source, own }));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// Who a peer is, by the certificates that it showed in a handshake that succeeded.
///
/// # Errors
///
/// [`PeerRefused`] when there is no certificate, or not exactly one identity in it.
pub fn peer_id(certificates: &[CertificateDer<'_>]) -> Result<SpiffeId, PeerRefused> {
    verify::id_of(certificates.first().ok_or(PeerRefused::Missing)?)
}

/// A sentence for the person who asks why a connection to `service` did not come about, when the reason
/// is one of identity.
pub fn explain(service: &str, error: &ConnectionError) -> Option<String> {
    let (code, reason, by_peer) = match error {
        ConnectionError::TransportError(error) => (error.code, error.reason.as_str().into(), false),
        ConnectionError::ConnectionClosed(close) => {
            (close.error_code, String::from_utf8_lossy(&close.reason), true)
        }
        _ => return None,
    };
    let is = |alert| code == quinn::TransportErrorCode::crypto(u8::from(alert));
    if is(AlertDescription::AccessDenied) && by_peer {
        return Some(format!("the peer at this address does not serve `{service}`"));
    }
    if is(AlertDescription::NoApplicationProtocol) {
        return Some("the peer speaks another protocol or version than `micro/1`".to_owned());
    }
    let refused = reason.strip_prefix("other error: ")?;
    // A peer may have written it: no more of it is shown than what our own sentences need.
    let harmless = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let refused: String = refused.chars().filter(harmless).take(512).collect();
    Some(match by_peer {
        true => format!("the peer did not accept our certificate: {refused}"),
        false => refused,
    })
}

/// As [`explain`], for TLS over TCP: there a peer tells no more than the number of an alert.
pub fn explain_tls(service: &str, error: &Error) -> Option<String> {
    Some(match error {
        Error::AlertReceived(AlertDescription::AccessDenied) => {
            format!("the peer at this address does not serve `{service}`")
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => {
            "the peer speaks another protocol or version than `micro/1`".to_owned()
        }
        Error::AlertReceived(alert) => {
            format!("the peer did not accept our certificate: {alert:?}")
        }
        error => error.to_string().strip_prefix("other error: ")?.to_owned(),
    })
}

/// The algorithms, without what an application may have installed for its process.
pub(super) fn provider() -> &'static CryptoProvider {
    &PROVIDER
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        // AES-128 first: the same security margin here, and up to 4 % less CPU than AES-256.
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    })
});

fn unusable(error: rustls::Error) -> IdentityError {
    IdentityError::Unusable(Box::new(error))
}

/// The certificates of the services in this process, by the host name they are asked for under.
#[derive(Debug)]
struct OwnServices {
    source: Arc<dyn IdentitySource>,
    by_host: HashMap<String, String>,
}

impl ResolvesServerCert for OwnServices {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        key_of(&*self.source, self.by_host.get(hello.server_name()?)?)
    }
}

/// The certificate that this process shows when it calls.
struct OwnIdentity {
    source: Arc<dyn IdentitySource>,
    own: String,
}

impl ResolvesClientCert for OwnIdentity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        key_of(&*self.source, &self.own)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for OwnIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source: _, own } = self;
        f.debug_struct("OwnIdentity").field("own", own).finish_non_exhaustive()
    }
}

fn key_of(source: &dyn IdentitySource, service: &str) -> Option<Arc<CertifiedKey>> {
    match source.identity(service) {
        Ok(identity) => Some(identity.certified_key()),
        Err(error) => {
            // TLS takes no reason here, and the peer is told none.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(service, %error, cause, "no certificate to show");
            None
        }
    }
}
