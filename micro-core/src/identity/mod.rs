//! Who a process is, and whom it believes: certificates with one SPIFFE id each, and the TLS settings in
//! which both sides must show one. There is no setting that skips this.
//!
//! [`IdentitySource`] says where certificates come from; [`DevCa`] is the one for development.

mod dev;
mod refused;
mod sni;
mod spiffe;
pub mod tls;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

pub use self::dev::DevCa;
pub use self::refused::{PeerRefused, Role};
pub use self::spiffe::{SpiffeId, SpiffeIdError};

/// Where identities come from and whom to trust.
///
/// Both are asked for at each handshake, never kept, so that a source may renew certificates and roots
/// under load. Hence the calls must be cheap: a source answers from memory, and does its waiting for
/// files or networks elsewhere.
pub trait IdentitySource: fmt::Debug + Send + Sync {
    /// The certificate and key with which this process speaks for `service`.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when it may not, or when the source has no valid certificate for it.
    fn identity(&self, service: &str) -> Result<Arc<Identity>, IdentityError>;

    /// The roots that the certificates of peers must lead to.
    fn bundle(&self) -> Arc<TrustBundle>;

    /// The trust domain of this process and of every peer that it talks to.
    fn domain(&self) -> &str;
}

/// A certificate chain, its key, and the one SPIFFE id that it speaks for. `Debug` never shows the key.
pub struct Identity {
    id: SpiffeId,
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// The identity that `chain` (the leaf first, then its issuers, without the root) and `key` make up.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Unusable`] when the leaf has not exactly one SPIFFE id, when `key` is not its
    /// key, or when the chain is longer than peers accept (6 certificates).
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let id = verify::check_sizes(&chain)
            .and_then(|()| tls::peer_id(&chain))
            .map_err(|refused| IdentityError::Unusable(Box::new(refused)))?;
        let key = CertifiedKey::from_der(chain, key, tls::provider())
            .map_err(|error| IdentityError::Unusable(Box::new(error)))?;
        Ok(Self { id, key: Arc::new(key) })
    }

    /// Whom it speaks for.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The certificates: the leaf first, then its issuers, without the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// Chain and key in the form in which TLS takes them.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, key } = self;
        f.debug_struct("Identity")
            .field("id", id)
            .field("certificates", &key.cert.len())
            .finish_non_exhaustive()
    }
}

/// The roots of one trust domain.
#[derive(Debug)]
pub struct TrustBundle {
    roots: RootCertStore,
}

impl TrustBundle {
    /// A bundle of these root certificates.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Unusable`] when there is none, or one of them is no certificate.
    pub fn new<'a>(
        roots: impl IntoIterator<Item = CertificateDer<'a>>,
    ) -> Result<Self, IdentityError> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root).map_err(|error| IdentityError::Unusable(Box::new(error)))?;
        }
        if store.is_empty() {
            return Err(IdentityError::Unusable("the trust bundle is empty".into()));
        }
        Ok(Self { roots: store })
    }
}

/// Why there is no identity to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Another process held the lock on the development CA all the time.
    #[error(
        "waited {} s for the lock on `{}`; which process holds it?",
        .waited.as_secs(), .path.display()
    )]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long.
        waited: Duration,
    },
    /// The file of the development CA is not what was once written.
    #[error(
        "the development CA in `{}` is damaged: {why}; \
         delete that file to have a new one made, then restart every process",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The development CA is past its end.
    #[error(
        "the development CA in `{}` has expired; \
         delete that directory to have a new one made, then restart every process",
        .path.display()
    )]
    Expired {
        /// The directory.
        path: PathBuf,
    },
    /// Others may have read the key of the development CA.
    #[error("refusing to use the development CA in `{}`: {why}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// There is no directory for the development CA.
    #[error("no place for the development CA")]
    Home(#[from] crate::home::HomeError),
    /// A file could not be read or written.
    #[error("cannot use `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No process may speak for such a name.
    #[error("`{name}` cannot be the identity of a service")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: SpiffeIdError,
    },
    /// A certificate, a key or a root cannot be used.
    #[error("our own certificate, key or trust bundle cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
