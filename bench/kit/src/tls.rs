//! The certificate that peers with TLS use: made by the server, trusted by the client, gone afterwards.
//!
//! The private key never leaves the server. The certificate is left in the directory for temporary files,
//! named after the port, where the client looks for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The name in the certificate.
pub const HOST: &str = "localhost";

/// A certificate with its key: ECDSA P-256, as micro's.
#[derive(Debug)]
pub struct Certified {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

/// Makes aws-lc-rs the provider of all that ask rustls for its default.
pub(crate) fn install() {
    // It is installed already only where a peer did so itself.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Certified {
    /// A new one.
    ///
    /// # Errors
    /// None in practice.
    pub fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()])?;
        Ok(Self { certificate: made.cert, key: made.signing_key })
    }

    /// Leaves the certificate where the client of this address looks for it.
    ///
    /// # Errors
    /// The directory for temporary files cannot be written to.
    pub fn publish(&self, address: SocketAddr) -> Result<()> {
        Ok(std::fs::write(path(address), self.certificate.pem())?)
    }

    /// The certificate and its key, for those who read PEM.
    pub fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    /// A configuration of rustls.
    ///
    /// # Errors
    /// None in practice.
    pub fn server(&self) -> Result<rustls::ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let certificate = self.certificate.der().clone();
        Ok(rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?)
    }
}

/// What a client trusts: the certificate of the server at this address, as PEM.
///
/// # Errors
/// No server of this machine has published it.
pub fn trusted_pem(address: SocketAddr) -> Result<String> {
    let path = path(address);
    std::fs::read_to_string(&path).with_context(|| format!("the server's {}", path.display()))
}

/// A configuration of rustls that trusts it.
///
/// # Errors
/// As [`trusted_pem`].
pub fn client(address: SocketAddr) -> Result<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted_pem(address)?.as_bytes())?)?;
    Ok(rustls::ClientConfig::builder()
        .with_root_certificates(Arc::new(roots))
        .with_no_client_auth())
}

fn path(address: SocketAddr) -> PathBuf {
    std::env::temp_dir().join(format!("micro-bench-{}.pem", address.port()))
}
