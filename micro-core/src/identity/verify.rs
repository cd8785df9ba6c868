//! Whether a peer is who it must be: path validation, the purpose of its certificate, its SPIFFE id.

use std::cell::Cell;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};

use super::refused::{PeerRefused, Role};
use super::{IdentitySource, SpiffeId, TrustBundle, tls};

/// Bounds the work that a chain can cause: leaf, root and four between are twice what anyone issues.
const MAX_CERTIFICATES: usize = 6;
/// Of one certificate; a leaf with an RSA key of 4096 bits and some extensions has 2 KiB.
const MAX_BYTES: usize = 8 * 1024;
/// Of one public key: RSA with 4096 bits takes 550 bytes, with 8192 (16 times the work) 1,062.
const MAX_KEY_BYTES: usize = 600;

/// The one SPIFFE id of a certificate. What issued it is not looked at.
pub(super) fn id_of(leaf: &CertificateDer<'_>) -> Result<SpiffeId, PeerRefused> {
    let leaf = EndEntityCert::try_from(leaf).map_err(malformed)?;
    // What is no UTF-8 is skipped by webpki: nobody can be called by such a name.
    let mut uris = leaf.valid_uri_names();
    match (uris.next(), uris.count()) {
        (Some(uri), 0) => uri.parse().map_err(PeerRefused::BadId),
        (first, more) => Err(PeerRefused::NotOneId { found: usize::from(first.is_some()) + more }),
    }
}

/// Refuses what is too large to be looked at closely.
pub(super) fn check_sizes(chain: &[CertificateDer<'_>]) -> Result<(), PeerRefused> {
    if chain.len() > MAX_CERTIFICATES {
        return Err(PeerRefused::TooLarge("more than 6 certificates"));
    }
    if chain.iter().any(|certificate| certificate.len() > MAX_BYTES) {
        return Err(PeerRefused::TooLarge("a certificate of more than 8 KiB"));
    }
    for certificate in chain {
        let parsed = EndEntityCert::try_from(certificate).map_err(malformed)?;
        if parsed.subject_public_key_info().len() > MAX_KEY_BYTES {
            return Err(PeerRefused::TooLarge("a key over RSA with 4096 bits"));
        }
    }
    Ok(())
}

/// Checks all of a peer's certificate but which service it must be.
pub(super) fn check_peer(
    chain: &[CertificateDer<'_>],
    role: Role,
    now: UnixTime,
    bundle: &TrustBundle,
    ours: &str,
) -> Result<SpiffeId, PeerRefused> {
    check_sizes(chain)?;
    let [leaf, issuers @ ..] = chain else {
        return Err(PeerRefused::Missing);
    };
    let claims = id_of(leaf);
    EndEntityCert::try_from(leaf)
        .map_err(malformed)?
        .verify_for_usage(
            tls::provider().signature_verification_algorithms.all,
            &bundle.roots.roots,
            issuers,
            now,
            Purpose::of(role),
            None,
            None,
        )
        .map_err(|error| path_refused(error, role, claims.as_ref().ok(), ours))?;
    let id = claims?;
    if id.domain() != ours {
        let (theirs, ours) = (id.domain().to_owned(), ours.to_owned());
        return Err(PeerRefused::Domain { theirs, ours });
    }
    Ok(id)
}

fn path_refused(
    error: webpki::Error,
    role: Role,
    claims: Option<&SpiffeId>,
    ours: &str,
) -> PeerRefused {
    match error {
        webpki::Error::CertExpired { time, not_after } => {
            PeerRefused::Expired { seconds: time.as_secs().saturating_sub(not_after.as_secs()) }
        }
        webpki::Error::CertNotValidYet { time, not_before } => PeerRefused::NotYetValid {
            seconds: not_before.as_secs().saturating_sub(time.as_secs()),
        },
        webpki::Error::EmptyEkuExtension | webpki::Error::RequiredEkuNotFoundContext(_) => {
            PeerRefused::Purpose { role }
        }
        // A CA of the same name with another key is not ours either.
        webpki::Error::InvalidSignatureForPublicKey | webpki::Error::UnknownIssuer => {
            PeerRefused::Issuer {
                claims: claims.map(|id| id.domain().to_owned()),
                ours: ours.to_owned(),
            }
        }
        error => malformed(error),
    }
}

fn malformed(error: webpki::Error) -> PeerRefused {
    PeerRefused::Malformed(error.to_string())
}

/// The extended key usage that a path must have: stated by the leaf, and not excluded by an issuer.
///
/// webpki has either rule, but for the whole path: "required" would refuse the issuers of most CAs, which
/// state none, and "required if present" a leaf that is for anything.
struct Purpose {
    usage: KeyUsage,
    stated: KeyUsage,
    /// webpki asks for the leaf first, as it builds the path from there.
    is_leaf: Cell<bool>,
}

impl Purpose {
    fn of(role: Role) -> Self {
        // id-kp-serverAuth and id-kp-clientAuth, 1.3.6.1.5.5.7.3.1 and .2 (RFC 5280, 4.2.1.12).
        const SERVER: &[u8] = &[40 + 3, 6, 1, 5, 5, 7, 3, 1];
        const CLIENT: &[u8] = &[40 + 3, 6, 1, 5, 5, 7, 3, 2];
        let oid = match role {
            Role::Client => CLIENT,
            Role::Server => SERVER,
        };
        Self {
            usage: KeyUsage::required_if_present(oid),
            stated: KeyUsage::required(oid),
            is_leaf: Cell::new(true),
        }
    }
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, present: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self.is_leaf.replace(false) {
            true => self.stated.validate(present),
            false => self.usage.validate(present),
        }
    }
}

/// Checks the certificates of those who call us: any service of our domain.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) source: Arc<dyn IdentitySource>,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// None: the client has one identity anyway, and the roots may change.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        verify(&*self.source, leaf, issuers, Role::Client, now).map_err(refuse)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// Checks the certificate of the one service that we call.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) source: Arc<dyn IdentitySource>,
    /// The service that it must be, whatever name the handshake was made for.
    pub(super) wanted: String,
}

impl ServerCertVerifier for Server {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let id = verify(&*self.source, leaf, issuers, Role::Server, now).map_err(refuse)?;
        if id.service() != self.wanted {
            return Err(refuse(PeerRefused::Service {
                found: id.service().to_owned(),
                wanted: self.wanted.clone(),
            }));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

fn verify(
    source: &dyn IdentitySource,
    leaf: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    role: Role,
    now: UnixTime,
) -> Result<SpiffeId, PeerRefused> {
    // Before the copy, which must not grow with what a peer sends.
    if issuers.len() >= MAX_CERTIFICATES {
        return Err(PeerRefused::TooLarge("more than 6 certificates"));
    }
    let chain: Vec<_> = std::iter::once(leaf).chain(issuers).cloned().collect();
    check_peer(&chain, role, now, &source.bundle(), source.domain())
}

fn verify_signature(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let algorithms = &tls::provider().signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
}

fn schemes() -> Vec<SignatureScheme> {
    tls::provider().signature_verification_algorithms.supported_schemes()
}

fn no_tls12() -> rustls::Error {
    rustls::Error::PeerIncompatible(rustls::PeerIncompatible::Tls13RequiredForQuic)
}

/// As `Other`, since that shows our sentence; inside `InvalidCertificate`, rustls would show its `Debug`.
fn refuse(refused: PeerRefused) -> rustls::Error {
    rustls::Error::Other(OtherError(Arc::new(refused)))
}
