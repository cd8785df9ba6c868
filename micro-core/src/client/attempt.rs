//! Attempts: one call sent once, or more often when that is allowed.
//!
//! A call is sent again when it provably did not run, or when it is idempotent and the instance failed;
//! never more than the budget allows, and never when a tier above is repeating it already.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::endpoint::Endpoint;
use crate::call::{Incoming, Outcome};
use crate::status::{Code, Executed, Result, Status};
use crate::stream::{Items, Outbound};
use crate::transport::{Connection, Request};

/// How often a call may be sent unless it says.
const ATTEMPTS: u32 = 3;
/// Instances that are tried for one attempt until one takes the call.
const INSTANCES: usize = 5;
/// The pause before the first repeat; it doubles, with full jitter.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a caller says about repeating.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeat {
    /// How often the call may be sent in all.
    pub attempts: Option<u32>,
    /// After how long a second instance is asked too.
    pub hedge: Option<Duration>,
}

/// Sends a unary call until it has an answer or may not be sent again.
pub(super) async fn unary(inner: &Inner, call: Incoming, repeat: Repeat) -> Outcome {
    inner.budget.deposit();
    let idempotent = call.target.idempotent;
    let scope = call.context.scope_of_call();
    let attempts = match scope.repeated {
        // A tier above repeats: two tiers of three attempts would be nine.
        true => 1,
        false => repeat.attempts.unwrap_or(ATTEMPTS),
    };
    let mut request = request(call);
    let mut failed = Vec::new();
    let mut attempt = 1;
    loop {
        let tried = failed.len();
        let outcome = match repeat.hedge.filter(|_| idempotent) {
            // Boxed, so that each call need not have room for it.
            Some(delay) => Box::pin(hedged(inner, &request, &mut failed, delay)).await,
            None => once(inner, &request, &mut failed).await,
        };
        let status = match outcome {
            Ok(reply) => return Ok(reply),
            Err(status) => status,
        };
        let allowed = status.is_retryable() || (idempotent && status.is_transient());
        // Nobody was there to be asked, after a wait for somebody: another wait would be in vain too.
        let nobody = failed.len() == tried && inner.resolver.is_empty(&request.target.service);
        if !allowed || nobody || attempt >= attempts || !inner.budget.withdraw() {
            return Err(status);
        }
        let resume = Instant::now() + pause(attempt, status.retry_after());
        if resume >= request.deadline {
            return Err(status);
        }
        sleep_until(resume).await;
        attempt += 1;
        request.repeated = true;
    }
}

/// Sends a unary call to one instance that takes it: one that refuses it as it drains costs no attempt.
async fn once(inner: &Inner, request: &Request, failed: &mut Vec<Arc<Endpoint>>) -> Outcome {
    for _ in 1..INSTANCES {
        let (endpoint, connection) = connect(inner, request, failed).await?;
        let is_new = !contains(failed, &endpoint);
        match on(&endpoint, &*connection, request, failed).await {
            Err(status) if is_new && is_moved(&status) => {}
            outcome => return outcome,
        }
    }
    let (endpoint, connection) = connect(inner, request, failed).await?;
    on(&endpoint, &*connection, request, failed).await
}

/// Sends a unary call to this instance.
async fn on(
    endpoint: &Arc<Endpoint>,
    connection: &dyn Connection,
    request: &Request,
    failed: &mut Vec<Arc<Endpoint>>,
) -> Outcome {
    let in_flight = endpoint.begin();
    let outcome = connection.call(request).await;
    match &outcome {
        Err(status) if unreachable(status) => {
            endpoint.failed();
            failed.push(Arc::clone(endpoint));
        }
        Ok(_) | Err(_) => in_flight.answered(),
    }
    outcome
}

/// Asks a second instance when the first has not answered after `delay`; the first answer counts, and
/// the other call is cancelled.
async fn hedged(
    inner: &Inner,
    request: &Request,
    failed: &mut Vec<Arc<Endpoint>>,
    delay: Duration,
) -> Outcome {
    let (endpoint, connection) = connect(inner, request, failed).await?;
    let mut others = failed.clone();
    others.push(Arc::clone(&endpoint));
    let mut first = pin!(on(&endpoint, &*connection, request, failed));
    if let Ok(outcome) = tokio::time::timeout(delay, &mut first).await {
        return outcome;
    }
    if !inner.budget.withdraw() {
        return first.await;
    }
    let repeated = Request { repeated: true, ..request.clone() };
    let mut second = pin!(once(inner, &repeated, &mut others));
    tokio::select! {
        outcome = &mut first => match outcome {
            Ok(reply) => Ok(reply),
            Err(_) => second.await,
        },
        outcome = &mut second => match outcome {
            Ok(reply) => Ok(reply),
            Err(_) => first.await,
        },
    }
}

/// Opens a stream on one instance that takes it. Once it is open it is never sent again.
pub(super) async fn stream(
    inner: &Inner,
    call: Incoming,
    outbound: Option<Outbound>,
) -> Result<Items> {
    inner.budget.deposit();
    let request = request(call);
    let (endpoint, connection) = connect(inner, &request, &mut Vec::new()).await?;
    let _in_flight = endpoint.begin();
    let opened = connection.open(request, outbound).await;
    if opened.as_ref().is_err_and(unreachable) {
        endpoint.failed();
    }
    opened
}

/// An instance that can be reached; those that cannot rest and are avoided from then on.
async fn connect(
    inner: &Inner,
    request: &Request,
    failed: &mut Vec<Arc<Endpoint>>,
) -> Result<(Arc<Endpoint>, Arc<dyn Connection>)> {
    let service = &request.target.service;
    let mut last = None;
    for _ in 0..INSTANCES {
        let endpoint = inner.resolver.pick(service, failed, request.deadline).await?;
        if last.is_some() && contains(failed, &endpoint) {
            break;
        }
        match endpoint.connection().await {
            Ok(connection) => return Ok((endpoint, connection)),
            Err(status) => {
                endpoint.failed();
                failed.push(endpoint);
                last = Some(status);
            }
        }
    }
    Err(last
        .unwrap_or_else(|| Status::unavailable("no instance can be reached"))
        .with_executed(Executed::No))
}

fn request(call: Incoming) -> Request {
    let Incoming { target, side: _, context, encoding, body, inbound: _, outbound: _ } = call;
    let scope = context.scope_of_call();
    Request {
        target,
        encoding,
        deadline: scope.deadline,
        correlation: scope.correlation,
        repeated: scope.repeated,
        metadata: context.metadata().clone(),
        body,
    }
}

fn contains(failed: &[Arc<Endpoint>], endpoint: &Arc<Endpoint>) -> bool {
    failed.iter().any(|other| Arc::ptr_eq(other, endpoint))
}

/// Whether the instance did not take the call, and another may at once: it drains, or was lost before.
fn is_moved(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && status.executed() == Executed::No
        && status.retry_after().is_none()
}

/// Whether the instance, not the handler, failed.
fn unreachable(status: &Status) -> bool {
    status.code() == Code::Unavailable && status.executed() != Executed::Yes
}

/// Full jitter over a doubling bound, or what the server asked for.
fn pause(attempt: u32, retry_after: Option<Duration>) -> Duration {
    if let Some(wait) = retry_after {
        return wait.min(LONGEST_PAUSE);
    }
    let most = PAUSE.saturating_mul(1 << attempt.min(16)).min(LONGEST_PAUSE);
    most.mul_f64((crate::id::noise() % 1024) as f64 / 1024.0)
}
