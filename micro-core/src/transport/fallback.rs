//! Fallback: one transport where it gets through, another where it does not. What `auto` is: QUIC, and
//! TCP on networks that block UDP.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Address, Connection, Dispatch, Listener, Transport};
use crate::call::BoxFuture;
use crate::status::{Result, Status};
use crate::sync::lock;

/// The first transport is alone for this long. Most handshakes take a few milliseconds; packets that a
/// firewall drops are never answered.
const HEAD_START: Duration = Duration::from_secs(1);
/// How long an address that only the second transport reaches is not tried with the first.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Addresses that are remembered; beyond, all are forgotten, which costs a head start each.
const MOST: usize = 10_000;
/// Ports that are tried until one is free for both.
const PORTS: usize = 32;

/// Two transports that reach the same instances, each at the same host and port.
pub struct Fallback {
    first: Arc<dyn Transport>,
    second: Arc<dyn Transport>,
    /// Where the first did not get through, and until when that is believed.
    blocked: Mutex<HashMap<Address, Instant>>,
}

impl Fallback {
    /// Takes `first` wherever it gets an answer, else `second`.
    pub fn new(first: Arc<dyn Transport>, second: Arc<dyn Transport>) -> Self {
        Self { first, second, blocked: Mutex::default() }
    }

    fn is_blocked(&self, address: &Address) -> bool {
        let mut blocked = lock(&self.blocked);
        let until = blocked.get(address).copied();
        let is_blocked = until.is_some_and(|until| until > Instant::now());
        if !is_blocked {
            blocked.remove(address);
        }
        is_blocked
    }

    fn remember(&self, address: &Address) {
        tracing::info!(%address, instead = self.second.scheme(), "no answer; reached by another transport");
        let mut blocked = lock(&self.blocked);
        if blocked.len() >= MOST {
            blocked.clear();
        }
        blocked.insert(address.clone(), Instant::now() + REMEMBERED);
    }

    async fn either(&self, address: &Address, service: &str) -> Result<Arc<dyn Connection>> {
        let other = Address::new(self.second.scheme(), address.authority());
        if self.is_blocked(address) {
            let connected = self.second.connect(&other, service).await;
            if connected.is_err() {
                // Perhaps it is the other way round by now.
                lock(&self.blocked).remove(address);
            }
            return connected;
        }
        let mut first = self.first.connect(address, service);
        // An answer that says no is an answer.
        let refused = match timeout(HEAD_START, &mut first).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(status)) => Some(status),
            Err(_) => None,
        };
        let mut second = self.second.connect(&other, service);
        let (refused, connected) = match refused {
            Some(status) => (Some(status), second.await),
            None => tokio::select! {
                connected = &mut first => match connected {
                    Ok(connection) => return Ok(connection),
                    Err(status) => (Some(status), second.await),
                },
                connected = &mut second => match connected {
                    Ok(connection) => (None, Ok(connection)),
                    Err(_) => return first.await,
                },
            },
        };
        match connected {
            Ok(connection) => {
                self.remember(address);
                Ok(connection)
            }
            // Why the one that is preferred does not get through says more.
            Err(status) => Err(refused.unwrap_or(status)),
        }
    }

    async fn listen_on_both(
        &self,
        address: &Address,
        dispatch: Arc<dyn Dispatch>,
    ) -> Result<Box<dyn Listener>> {
        let is_any = address.authority().ends_with(":0");
        let mut taken = Status::unavailable(format!("{address}: no port is free for both"));
        for _ in 0..if is_any { PORTS } else { 1 } {
            let first = self.first.listen(address, Arc::clone(&dispatch)).await?;
            let at = first.address();
            let other = Address::new(self.second.scheme(), at.authority());
            match self.second.listen(&other, Arc::clone(&dispatch)).await {
                Ok(second) => return Ok(Box::new(Both { first, second })),
                Err(status) => taken = status,
            }
        }
        Err(taken)
    }
}

impl Transport for Fallback {
    fn scheme(&self) -> &'static str {
        self.first.scheme()
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        dispatch: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>> {
        Box::pin(self.listen_on_both(address, dispatch))
    }

    fn connect<'a>(
        &'a self,
        address: &'a Address,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>> {
        Box::pin(self.either(address, service))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::join!(self.first.close(), self.second.close());
        })
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second, blocked: _ } = self;
        f.debug_struct("Fallback").field("first", first).field("second", second).finish()
    }
}

/// Listens on both.
#[derive(Debug)]
struct Both {
    first: Box<dyn Listener>,
    second: Box<dyn Listener>,
}

impl Listener for Both {
    fn address(&self) -> Address {
        self.first.address()
    }

    fn addresses(&self) -> Vec<Address> {
        vec![self.first.address(), self.second.address()]
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::join!(self.first.drain(deadline), self.second.drain(deadline));
        })
    }
}

#[cfg(test)]
mod tests;
