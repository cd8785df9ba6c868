//! From URLs to backends: the only place that knows all of them.

use std::sync::Arc;

use crate::config::Settings;
use crate::identity::{DevCa, IdentitySource};
use crate::registry::{LocalRegistry, MemoryRegistry, Registry};
use crate::status::{Code, Result, Status};
use crate::transport::memory::Memory;
use crate::transport::quic::Quic;
use crate::transport::tcp::Tcp;
use crate::transport::{Fallback, Transport};
use crate::{home, text};

/// The registry that a URL names.
///
/// # Errors
/// `InvalidArgument` for an unknown scheme, with the known ones; or what the backend says.
pub(crate) fn registry(url: &str) -> Result<Arc<dyn Registry>> {
    let (scheme, rest) = split(url);
    Ok(match scheme {
        "local" => {
            let directory = match rest {
                "" => home::state_dir().map_err(|e| wrong(&e))?.join("registry"),
                path => path.into(),
            };
            Arc::new(LocalRegistry::open(directory).map_err(|e| wrong(&e))?)
        }
        "memory" => Arc::new(MemoryRegistry::new()),
        #[cfg(feature = "mdns")]
        "mdns" => {
            let options = crate::registry::MdnsOptions::default();
            Arc::new(crate::registry::MdnsRegistry::open(options).map_err(|e| wrong(&e))?)
        }
        _ => return Err(unknown("registry", url, &["local", "memory", "mdns"])),
    })
}

fn wrong(error: &(dyn std::error::Error + 'static)) -> Status {
    Status::of_cause(Code::FailedPrecondition, error)
}

/// Which broker a URL names; it is made when the client that it needs is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BrokerKind {
    Direct,
    Memory,
}

pub(crate) fn broker(url: &str) -> Result<BrokerKind> {
    match split(url).0 {
        "direct" => Ok(BrokerKind::Direct),
        "memory" => Ok(BrokerKind::Memory),
        _ => Err(unknown("broker", url, &["direct", "memory"])),
    }
}

/// Which transport a URL names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TransportKind {
    /// QUIC, and TCP where it does not get through.
    Auto,
    Memory,
    Quic,
    Tcp,
}

pub(crate) fn transport(url: &str) -> Result<TransportKind> {
    match split(url).0 {
        "auto" => Ok(TransportKind::Auto),
        "memory" => Ok(TransportKind::Memory),
        "quic" => Ok(TransportKind::Quic),
        "tcp" => Ok(TransportKind::Tcp),
        _ => Err(unknown("transport", url, &["quic", "tcp", "auto", "memory"])),
    }
}

/// Whose calls leave and arrive by which transport.
pub(crate) struct Transports {
    /// What is listened on.
    pub(crate) listening: Arc<dyn Transport>,
    /// What is called with: an instance is reached by the first that it has an address of.
    pub(crate) calling: Vec<Arc<dyn Transport>>,
}

impl Transports {
    /// One transport for both.
    pub(crate) fn one(transport: Arc<dyn Transport>) -> Self {
        Self { listening: Arc::clone(&transport), calling: vec![transport] }
    }

    /// Those that the settings choose, of a process that calls as `own` and serves `names`.
    pub(crate) fn open(settings: &Settings, own: &str, names: &[String]) -> Result<Self> {
        let kind = transport(&settings.transport)?;
        let listening = match settings.address.split_once("://") {
            Some((scheme, _)) => transport(scheme)?,
            None => kind,
        };
        if kind == TransportKind::Memory {
            return Ok(Self::one(Arc::new(Memory::default().calling_as(own))));
        }
        let state = home::state_dir().map_err(|error| wrong(&error))?;
        let source: Arc<dyn IdentitySource> =
            Arc::new(DevCa::open(&state).map_err(|error| wrong(&error))?);
        let quic = Quic::new(Arc::clone(&source), own, names.to_vec()).mtu(settings.quic_mtu);
        let quic: Arc<dyn Transport> = Arc::new(quic);
        let tcp: Arc<dyn Transport> = Arc::new(Tcp::new(source, own, names.to_vec()));
        let auto = Arc::new(Fallback::new(Arc::clone(&quic), Arc::clone(&tcp)));
        let of = |kind| -> Vec<Arc<dyn Transport>> {
            match kind {
                TransportKind::Tcp => vec![Arc::clone(&tcp)],
                TransportKind::Auto => vec![auto.clone(), Arc::clone(&tcp)],
                TransportKind::Quic | TransportKind::Memory => vec![Arc::clone(&quic)],
            }
        };
        Ok(Self { listening: of(listening).swap_remove(0), calling: of(kind) })
    }
}

/// `local` and `local://` are the same.
fn split(url: &str) -> (&str, &str) {
    url.split_once("://").unwrap_or((url, ""))
}

fn unknown(what: &str, url: &str, known: &[&str]) -> Status {
    let (scheme, _) = split(url);
    let shown: String = scheme.escape_debug().take(64).collect();
    let hint = text::did_you_mean(scheme, known.iter().copied());
    let known = known.join(", ");
    Status::invalid_argument(format!("{what}: unknown scheme `{shown}`{hint} (known: {known})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_names_the_nearest() {
        let error = registry("locl://").expect_err("unknown");
        assert!(error.message().contains("did you mean `local`"), "{error}");
        assert!(broker("kafka://x").is_err());
        assert_eq!(transport("quic").ok(), Some(TransportKind::Quic));
        assert_eq!(transport("memory://").ok(), Some(TransportKind::Memory));
    }
}
