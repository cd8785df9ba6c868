//! The name of an authenticated peer, in the form that SPIFFE gives it.

use std::fmt;
use std::str::FromStr;

use crate::text::is_name;

/// Who a process is: `spiffe://<domain>/<service>`.
///
/// Parsed strictly, since it is compared with names and shown to people: a lower-case trust domain, one
/// path segment that is the name of a service, at most 2048 bytes, and nothing of a URL besides (no
/// port, user, query, fragment or percent sign).
///
/// ```
/// use micro_core::identity::SpiffeId;
///
/// let id: SpiffeId = "spiffe://prod.example/orders".parse()?;
/// assert_eq!((id.domain(), id.service()), ("prod.example", "orders"));
/// # Ok::<(), micro_core::identity::SpiffeIdError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeId {
    domain: String,
    service: String,
}

/// Why a text is no [`SpiffeId`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// The trust domain is empty, too long, or has other characters than `a-z 0-9 - _ .`
    #[error("the trust domain must be 1 to 255 of `a-z 0-9 - _ .`")]
    Domain,
    /// The path is not one segment that may name a service.
    #[error("the path must be one service name of 1 to 128 of `a-z 0-9 - _ .`")]
    Service,
    /// It does not begin with `spiffe://`.
    #[error("it must begin with `spiffe://`")]
    Scheme,
    /// It is over 2048 bytes.
    #[error("it must be at most 2048 bytes")]
    TooLong,
}

impl SpiffeId {
    /// The identity of `service` in the trust domain `domain`.
    ///
    /// # Errors
    ///
    /// [`SpiffeIdError`] when one of them has no valid form.
    pub fn new(domain: &str, service: &str) -> Result<Self, SpiffeIdError> {
        if !is_domain(domain) {
            return Err(SpiffeIdError::Domain);
        }
        // SPIFFE forbids the segments that a path would resolve away.
        if !is_name(service) || service == "." || service == ".." {
            return Err(SpiffeIdError::Service);
        }
        Ok(Self { domain: domain.to_owned(), service: service.to_owned() })
    }

    /// The trust domain: whose CA vouches for this identity.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.service
    }
}

/// Lower case only, as SPIFFE says; underscores as it allows.
pub(super) fn is_domain(domain: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=255).contains(&domain.len()) && domain.bytes().all(ok)
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 2048 {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(SpiffeIdError::Scheme)?;
        let (domain, service) = rest.split_once('/').unwrap_or((rest, ""));
        Self::new(domain, service)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, service } = self;
        write!(f, "spiffe://{domain}/{service}")
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_id_survives_the_round_trip() {
        for text in ["spiffe://prod.example/orders", "spiffe://a_b-c.d/x", "spiffe://d/a.b_c-1"] {
            assert_eq!(text.parse::<SpiffeId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        let long_domain = format!("spiffe://{}/x", "d".repeat(256));
        let long_name = format!("spiffe://d/{}", "x".repeat(129));
        let too_long = format!("spiffe://d/{}", "x".repeat(2048));
        let cases = [
            ("", SpiffeIdError::Scheme),
            ("https://d/x", SpiffeIdError::Scheme),
            ("SPIFFE://d/x", SpiffeIdError::Scheme),
            ("spiffe:/d/x", SpiffeIdError::Scheme),
            (" spiffe://d/x", SpiffeIdError::Scheme),
            ("spiffe:///x", SpiffeIdError::Domain),
            ("spiffe://D/x", SpiffeIdError::Domain),
            ("spiffe://d:443/x", SpiffeIdError::Domain),
            ("spiffe://u@d/x", SpiffeIdError::Domain),
            ("spiffe://d%2e/x", SpiffeIdError::Domain),
            ("spiffe://dömäne/x", SpiffeIdError::Domain),
            (&long_domain, SpiffeIdError::Domain),
            ("spiffe://d", SpiffeIdError::Service),
            ("spiffe://d/", SpiffeIdError::Service),
            ("spiffe://d/x/", SpiffeIdError::Service),
            ("spiffe://d//x", SpiffeIdError::Service),
            ("spiffe://d/ns/x", SpiffeIdError::Service),
            ("spiffe://d/X", SpiffeIdError::Service),
            ("spiffe://d/.", SpiffeIdError::Service),
            ("spiffe://d/..", SpiffeIdError::Service),
            ("spiffe://d/x?q", SpiffeIdError::Service),
            ("spiffe://d/x#f", SpiffeIdError::Service),
            ("spiffe://d/x\0", SpiffeIdError::Service),
            ("spiffe://d/x\n", SpiffeIdError::Service),
            (&long_name, SpiffeIdError::Service),
            (&too_long, SpiffeIdError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text:?}");
        }
    }
}
