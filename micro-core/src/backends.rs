//! From URLs to backends: the only place that knows all of them.

use std::sync::Arc;

use crate::registry::{LocalRegistry, MemoryRegistry, Registry};
use crate::status::{Code, Result, Status};
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
    Memory,
    Quic,
}

pub(crate) fn transport(url: &str) -> Result<TransportKind> {
    match split(url).0 {
        "memory" => Ok(TransportKind::Memory),
        "quic" => Ok(TransportKind::Quic),
        _ => Err(unknown("transport", url, &["quic", "memory"])),
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
