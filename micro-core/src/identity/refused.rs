//! Why a peer was not accepted, in sentences for the person who must find out why two processes do not
//! talk.

use std::fmt;

use super::SpiffeIdError;

/// Why a peer's certificate was not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerRefused {
    /// The id in the certificate has no valid form.
    #[error("the peer's certificate has a URI that is no identity of a service: {0}")]
    BadId(SpiffeIdError),
    /// The chain is valid, but of another trust domain.
    #[error("the peer's certificate is of trust domain `{theirs}`, ours is `{ours}`")]
    Domain {
        /// The peer's.
        theirs: String,
        /// The one that this process belongs to.
        ours: String,
    },
    /// It was valid once.
    #[error("the peer's certificate expired {} ago", span(.seconds))]
    Expired {
        /// How long ago, in seconds.
        seconds: u64,
    },
    /// Its path does not lead to one of our roots.
    #[error("the peer's certificate was not issued by our CA{}", other_domain(.claims, .ours))]
    Issuer {
        /// The trust domain that it names; anybody can write that.
        claims: Option<String>,
        /// The one that this process belongs to.
        ours: String,
    },
    /// It is no certificate, or breaks a rule that has no sentence of its own.
    #[error("the peer's certificate is not valid: {0}")]
    Malformed(String),
    /// The peer showed none.
    #[error("the peer showed no certificate")]
    Missing,
    /// It has not exactly one URI among its subject alternative names; a common name counts for nothing.
    #[error("the peer's certificate names {found} identities (URI SAN) instead of one")]
    NotOneId {
        /// How many.
        found: usize,
    },
    /// It is not valid yet.
    #[error("the peer's certificate becomes valid in {}; do both clocks agree?", span(.seconds))]
    NotYetValid {
        /// In how many seconds.
        seconds: u64,
    },
    /// Its extended key usage does not cover this side of a connection.
    #[error("the peer's certificate is not for use as a {role} (extended key usage {role}Auth)")]
    Purpose {
        /// Which side.
        role: Role,
    },
    /// The certificate is good, but another service's.
    #[error("the peer at this address is `{found}`, not `{wanted}`")]
    Service {
        /// Who it is.
        found: String,
        /// Who was called.
        wanted: String,
    },
    /// The chain is longer or larger than any that is needed.
    #[error("the peer's certificate chain is too large: {0}")]
    TooLarge(&'static str),
}

/// The side of a connection that a certificate is shown by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Who opened the connection.
    Client,
    /// Who accepted it.
    Server,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

fn other_domain(claims: &Option<String>, ours: &str) -> String {
    match claims {
        Some(theirs) if theirs != ours => {
            format!(": it says to be of trust domain `{theirs}`, ours is `{ours}`")
        }
        _ => String::new(),
    }
}

/// A duration as people say it, in its largest unit.
fn span(seconds: &u64) -> String {
    let (count, unit) = match *seconds {
        s if s >= 2 * 86_400 => (s / 86_400, "days"),
        s if s >= 2 * 3_600 => (s / 3_600, "hours"),
        s if s >= 2 * 60 => (s / 60, "minutes"),
        s => (s, "seconds"),
    };
    format!("{count} {unit}")
}
