//! The development CA: made by the first run on a machine, shared by all processes of one user, so that
//! nothing ever starts out without authentication. Not for production: whoever runs as this user can
//! speak for every service.

mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use self::file::{Stored, hex, io_error};
use super::{Identity, IdentityError, IdentitySource, Role, SpiffeId, TrustBundle, spiffe, verify};
use crate::home;
use crate::sync::lock;

/// Issues an identity for any service name of this user's own trust domain.
///
/// Leaves live in memory, 30 days each, and are issued anew when 70 % of that is over.
pub struct DevCa {
    path: PathBuf,
    domain: String,
    expires: SystemTime,
    issuer: Issuer<'static, KeyPair>,
    bundle: Arc<TrustBundle>,
    leaves: Mutex<HashMap<String, Leaf>>,
}

struct Leaf {
    identity: Arc<Identity>,
    issued: SystemTime,
    renew: SystemTime,
}

const LEAF_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const CA_LIFE: Duration = Duration::from_secs(3652 * 24 * 3600);
/// How far the clocks of two machines, or a virtual one and its host, may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// Who holds the lock makes one key and one file; longer is a stuck process or a stuck disk.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Far more services than one process has; beyond, a leaf is issued at each call instead of kept.
const MAX_LEAVES: usize = 1024;
/// The year 9900: beyond 9999 no certificate can say when it ends.
const LAST_SECOND: u64 = 250_250_000_000;

impl DevCa {
    /// The CA of this user, made if there is none: `dev-ca` in `state_dir` (see
    /// [`state_dir`](home::state_dir)).
    ///
    /// Any number of processes may call this at the same time; all get the same CA. Blocks while another
    /// process makes it, 10 s at most.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when there is no place for it, or when the file is damaged, expired, or open to
    /// other users. A new CA is never made in the place of such a file, since running processes would
    /// lose each other without a word.
    pub fn open(state_dir: &Path) -> Result<Self, IdentityError> {
        Self::open_at(state_dir, SystemTime::now())
    }

    fn open_at(state_dir: &Path, now: SystemTime) -> Result<Self, IdentityError> {
        let dir = state_dir.join("dev-ca");
        home::private_dir(&dir)?;
        let path = dir.join("ca");
        // Without the lock first: almost every run finds the file, and it is only ever whole.
        if let Some(stored) = Stored::read(&path)? {
            return Self::load(path, &stored, now);
        }
        let _lock = exclusive(&dir.join("lock"), LOCK_WAIT)?;
        let stored = match Stored::read(&path)? {
            Some(stored) => stored,
            None => {
                let stored = create(now)?;
                stored.write(&path)?;
                tracing::info!(path = %path.display(), domain = stored.domain, "made a development CA");
                stored
            }
        };
        Self::load(path, &stored, now)
    }

    fn load(path: PathBuf, stored: &Stored, now: SystemTime) -> Result<Self, IdentityError> {
        let damaged =
            |why: &str| IdentityError::Damaged { path: path.clone(), why: why.to_owned() };
        if !spiffe::is_domain(&stored.domain) || stored.expires > LAST_SECOND {
            return Err(damaged("its trust domain or its end is impossible"));
        }
        let key = PrivatePkcs8KeyDer::from(stored.key.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)
            .map_err(|_| damaged("its key cannot be read"))?;
        let root = CertificateDer::from(stored.certificate.as_slice());
        let bundle =
            TrustBundle::new([root]).map_err(|_| damaged("its certificate cannot be read"))?;
        let expires = UNIX_EPOCH + Duration::from_secs(stored.expires);
        let ca = Self {
            domain: stored.domain.clone(),
            expires,
            issuer: Issuer::new(ca_params(&stored.domain, now, expires), key),
            bundle: Arc::new(bundle),
            leaves: Mutex::default(),
            path,
        };
        ca.check(now)?;
        Ok(ca)
    }

    /// Proves that what we issue leads to the stored certificate: the issuer is not read from it but
    /// made anew, so a key or a name that differs would otherwise show in every handshake.
    fn check(&self, now: SystemTime) -> Result<(), IdentityError> {
        let leaf = self.issue("check", now)?;
        let now = UnixTime::since_unix_epoch(since_1970(now));
        verify::check_peer(leaf.chain(), Role::Server, now, &self.bundle, &self.domain)
            .map(drop)
            .map_err(|refused| IdentityError::Damaged {
                path: self.path.clone(),
                why: format!("its key does not match its certificate ({refused})"),
            })
    }

    fn identity_at(&self, service: &str, now: SystemTime) -> Result<Arc<Identity>, IdentityError> {
        let mut leaves = lock(&self.leaves);
        if let Some(leaf) = leaves.get(service) {
            // A clock that was set back makes a certificate of the future.
            if now < leaf.renew && leaf.issued <= now + CLOCK_SKEW {
                return Ok(Arc::clone(&leaf.identity));
            }
        }
        let identity = Arc::new(self.issue(service, now)?);
        if leaves.len() < MAX_LEAVES || leaves.contains_key(service) {
            let leaf = Leaf {
                identity: Arc::clone(&identity),
                issued: now,
                renew: now
                    + (self.end_of_leaf(now).duration_since(now).unwrap_or_default()) * 7 / 10,
            };
            leaves.insert(service.to_owned(), leaf);
        }
        Ok(identity)
    }

    fn issue(&self, service: &str, now: SystemTime) -> Result<Identity, IdentityError> {
        let id = SpiffeId::new(&self.domain, service)
            .map_err(|source| IdentityError::Name { name: service.to_owned(), source })?;
        if now >= self.expires {
            let dir = self.path.parent().unwrap_or(&self.path);
            return Err(IdentityError::Expired { path: dir.to_owned() });
        }
        let params = leaf_params(&id, now, self.end_of_leaf(now)).map_err(unusable)?;
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(unusable)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(unusable)?;
        Identity::new(vec![certificate.into()], PrivateKeyDer::from(key))
    }

    /// webpki does not look at when a root ends, so no leaf may outlive it.
    fn end_of_leaf(&self, now: SystemTime) -> SystemTime {
        self.expires.min(now + LEAF_LIFE)
    }
}

impl IdentitySource for DevCa {
    fn identity(&self, service: &str) -> Result<Arc<Identity>, IdentityError> {
        self.identity_at(service, SystemTime::now())
    }

    fn bundle(&self) -> Arc<TrustBundle> {
        Arc::clone(&self.bundle)
    }

    fn domain(&self) -> &str {
        &self.domain
    }
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, domain, .. } = self;
        f.debug_struct("DevCa").field("path", path).field("domain", domain).finish_non_exhaustive()
    }
}

/// A new CA. Its trust domain comes from its key, so that no two users share one.
fn create(now: SystemTime) -> Result<Stored, IdentityError> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(unusable)?;
    let key_id = CertificateParams::default().key_identifier(&key);
    let domain = format!("dev-{}.local", hex(&key_id[..key_id.len().min(6)]));
    let expires = now + CA_LIFE;
    let certificate = ca_params(&domain, now, expires).self_signed(&key).map_err(unusable)?;
    Ok(Stored {
        domain,
        expires: since_1970(expires).as_secs(),
        certificate: certificate.der().to_vec(),
        key: key.serialize_der(),
    })
}

/// Fixed but for the domain and the dates: from the same parameters, a later run is the same issuer.
fn ca_params(domain: &str, now: SystemTime, expires: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "micro development CA");
    params.distinguished_name.push(DnType::OrganizationName, domain);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, expires);
    params
}

fn leaf_params(
    id: &SpiffeId,
    now: SystemTime,
    end: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // For people with tools; nothing here ever compares it. X.520 allows 64 characters.
    let name: String = id.service().chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::URI(id.to_string().try_into()?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, end);
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, now: SystemTime, end: SystemTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(now).saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + since_1970(end);
}

/// Whole seconds, and never so many that a certificate could not state them.
fn since_1970(time: SystemTime) -> Duration {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Duration::from_secs(seconds.min(LAST_SECOND))
}

fn unusable(error: rcgen::Error) -> IdentityError {
    IdentityError::Unusable(Box::new(error))
}

/// The lock on `path`, given back when the file is dropped, or by the system when the process dies.
fn exclusive(path: &Path, wait: Duration) -> Result<File, IdentityError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| io_error(path, error))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(error)) => return Err(io_error(path, error)),
        Err(TryLockError::WouldBlock) => {}
    }
    // std knows no lock with a time limit. A thread that is given up on ends, and with it the lock that
    // it then holds, as soon as it has nobody to hand it to.
    let (give, take) = mpsc::sync_channel(0);
    thread::spawn(move || give.send(file.lock().map(|()| file)));
    match take.recv_timeout(wait) {
        Ok(locked) => locked.map_err(|error| io_error(path, error)),
        Err(_) => Err(IdentityError::Busy { path: path.to_owned(), waited: wait }),
    }
}
