//! Attempts: one call sent once, or more often when that is allowed.
//!
//! A call is sent again when it provably did not run, or when it is idempotent and the instance failed;
//! never more than the budget allows, and never when a tier above is repeating it already.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::Inner;
use super::endpoint::{Endpoint, InFlight};
use super::service::Service;
use crate::call::{BoxFuture, Incoming, Outcome};
use crate::status::{Code, Executed, Result, Status};
use crate::stream::{Items, Outbound};
use crate::transport::{Calling, Connection, Request};

/// How often a call may be sent unless it says.
const ATTEMPTS: u32 = 3;
/// Instances that are tried for one attempt until one takes the call.
const INSTANCES: usize = 5;
/// The pause before the first repeat; it doubles, with full jitter.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a caller says about repeating.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Repeat {
    /// How often the call may be sent in all.
    pub attempts: Option<u32>,
    /// After how long a second instance is asked too.
    pub hedge: Option<Duration>,
}

/// A unary call on its way. What most calls need is here: they are sent to a connection that there is, and
/// answered. What must wait before it can be sent, or is sent again, goes on in a future of its own, so
/// that no call pays for it otherwise.
#[must_use = "a call does nothing until it is awaited"]
pub(super) struct Unary<'a> {
    inner: &'a Inner,
    service: Option<&'a Service>,
    request: Option<Request>,
    /// Boxed, since few calls say anything and all are moved.
    repeat: Option<Box<Repeat>>,
    in_flight: Option<InFlight>,
    step: Step<'a>,
}

enum Step<'a> {
    Begin,
    Sent(Calling),
    Long(BoxFuture<'a, Outcome>),
    Ended(Option<Status>),
}

impl<'a> Unary<'a> {
    /// A call that is sent when it is polled first.
    #[inline]
    pub(super) fn new(
        inner: &'a Inner,
        service: &'a Service,
        request: Request,
        repeat: Option<Box<Repeat>>,
    ) -> Self {
        let (service, request) = (Some(service), Some(request));
        Self { inner, service, request, repeat, in_flight: None, step: Step::Begin }
    }

    /// A call that goes another way first.
    pub(super) fn long(inner: &'a Inner, call: BoxFuture<'a, Outcome>) -> Self {
        let step = Step::Long(call);
        Self { inner, service: None, request: None, repeat: None, in_flight: None, step }
    }

    /// A call that cannot be made.
    pub(super) fn failed(inner: &'a Inner, status: Status) -> Self {
        let step = Step::Ended(Some(status));
        Self { inner, service: None, request: None, repeat: None, in_flight: None, step }
    }

    #[inline]
    fn begin(&mut self, waker: &Waker) {
        let (Some(service), Some(request)) = (self.service, &self.request) else { return };
        let noise = crate::id::noise();
        self.inner.budget.deposit(noise);
        let is_hedged = request.target.idempotent && self.hedge().is_some();
        if !is_hedged
            && let Some((calling, load)) = self.inner.resolver.send(service, request, noise, waker)
        {
            self.in_flight = Some(load);
            self.step = Step::Sent(calling);
            return;
        }
        self.go_on(None);
    }

    fn hedge(&self) -> Option<Duration> {
        self.repeat.as_ref()?.hedge
    }

    /// Goes on in a future of its own, after the first attempt if there was one.
    #[cold]
    fn go_on(&mut self, first: Option<First>) {
        let (Some(service), Some(request)) = (self.service, self.request.take()) else { return };
        let (inner, repeat) = (self.inner, self.repeat.take());
        let repeat = repeat.map_or_else(Repeat::default, |repeat| *repeat);
        self.step = Step::Long(Box::pin(async move {
            let (deadline, late) = (request.deadline, request.late());
            let call = repeated(To { inner, service }, request, repeat, first);
            timeout_at(deadline, call).await.unwrap_or(Err(late))
        }));
    }

    /// The first attempt has failed: nothing when the call goes on.
    #[cold]
    fn refused(&mut self, status: Status) -> Option<Status> {
        let (Some(request), Some(in_flight)) = (&self.request, self.in_flight.take()) else {
            return Some(status);
        };
        let mut failed = Vec::new();
        settle(in_flight, Some(&status), &mut failed);
        if !may_repeat(&status, request.target.idempotent) {
            return Some(status.with_correlation(request.correlation));
        }
        self.go_on(Some(First { status, failed }));
        None
    }
}

impl Future for Unary<'_> {
    type Output = Outcome;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        if matches!(this.step, Step::Begin) {
            this.begin(cx.waker());
            if let Step::Sent(calling) = &this.step
                && calling.is_waiting()
            {
                return Poll::Pending;
            }
        }
        if let Step::Sent(calling) = &mut this.step {
            match ready!(Pin::new(calling).poll(cx)) {
                Ok(reply) => {
                    this.step = Step::Ended(None);
                    if let Some(in_flight) = this.in_flight.take() {
                        in_flight.answered();
                    }
                    return Poll::Ready(Ok(reply));
                }
                Err(status) => {
                    this.step = Step::Ended(None);
                    if let Some(status) = this.refused(status) {
                        return Poll::Ready(Err(status));
                    }
                }
            }
        }
        match &mut this.step {
            Step::Long(call) => {
                let outcome = ready!(call.as_mut().poll(cx));
                this.step = Step::Ended(None);
                Poll::Ready(outcome)
            }
            Step::Ended(status) => Poll::Ready(Err(status.take().unwrap_or_else(ended))),
            // Left above.
            Step::Begin | Step::Sent(_) => Poll::Ready(Err(ended())),
        }
    }
}

#[cold]
fn ended() -> Status {
    Status::internal("a call was polled after its end")
}

/// Where a call goes.
#[derive(Clone, Copy)]
struct To<'a> {
    inner: &'a Inner,
    service: &'a Service,
}

/// How the first attempt ended, and the instances that failed in it.
struct First {
    status: Status,
    failed: Vec<u64>,
}

/// Sends a unary call until it has an answer or may not be sent again.
async fn repeated(
    to: To<'_>,
    mut request: Request,
    repeat: Repeat,
    first: Option<First>,
) -> Outcome {
    let idempotent = request.target.idempotent;
    let attempts = match request.repeated {
        // A tier above repeats: two tiers of three attempts would be nine.
        true => 1,
        false => repeat.attempts.unwrap_or(ATTEMPTS),
    };
    let mut failed = Vec::new();
    let mut first = first.map(|First { status, failed: others }| {
        failed = others;
        status
    });
    let mut tried = 0;
    let mut attempt = 1;
    loop {
        let outcome = match repeat.hedge.filter(|_| idempotent) {
            // Boxed, so that each call need not have room for it.
            Some(delay) => Box::pin(hedged(to, &mut request, &mut failed, delay)).await,
            None => once(to, &mut request, &mut failed, first.take()).await,
        };
        let status = match outcome {
            Ok(reply) => return Ok(reply),
            Err(status) => status.with_correlation(request.correlation),
        };
        // Nobody was there to be asked, after a wait for somebody: another wait would be in vain too.
        let nobody = failed.len() == tried && to.service.is_empty();
        let allowed = may_repeat(&status, idempotent) && !nobody;
        if !allowed || attempt >= attempts || !to.inner.budget.withdraw() {
            return Err(status);
        }
        let resume = Instant::now() + pause(attempt, status.retry_after());
        if resume >= request.deadline {
            return Err(status);
        }
        sleep_until(resume).await;
        attempt += 1;
        request.repeated = true;
        tried = failed.len();
    }
}

/// Sends a unary call to one instance that takes it: one that refuses it as it drains costs no attempt.
/// `first` is what the first instance has answered already.
async fn once(
    to: To<'_>,
    request: &mut Request,
    failed: &mut Vec<u64>,
    mut first: Option<Status>,
) -> Outcome {
    let mut left = INSTANCES;
    loop {
        left -= 1;
        let (is_new, outcome) = match first.take() {
            Some(status) => (true, Err(status)),
            None => {
                let (endpoint, connection) = connect(to, request.deadline, failed).await?;
                let is_new = !failed.contains(&endpoint.serial());
                (is_new, on(&endpoint, &*connection, request, failed).await)
            }
        };
        match outcome {
            Err(status) if is_new && left > 0 && is_moved(&status) => {}
            outcome => return outcome,
        }
    }
}

/// Sends a unary call to this instance.
async fn on(
    endpoint: &Endpoint,
    connection: &dyn Connection,
    request: &mut Request,
    failed: &mut Vec<u64>,
) -> Outcome {
    request.now = Instant::now();
    let in_flight = endpoint.begin(request.now, false, 0);
    let outcome = connection.call(request).await;
    settle(in_flight, outcome.as_ref().err(), failed);
    outcome
}

/// Notes what an outcome says about the instance.
fn settle(in_flight: InFlight, status: Option<&Status>, failed: &mut Vec<u64>) {
    match status {
        Some(status) if unreachable(status) => failed.push(in_flight.failed()),
        Some(_) | None => in_flight.answered(),
    }
}

/// Asks a second instance when the first has not answered after `delay`; the first answer counts, and
/// the other call is cancelled.
async fn hedged(
    to: To<'_>,
    request: &mut Request,
    failed: &mut Vec<u64>,
    delay: Duration,
) -> Outcome {
    let (endpoint, connection) = connect(to, request.deadline, failed).await?;
    let mut others = failed.clone();
    others.push(endpoint.serial());
    let mut repeated = Request { repeated: true, ..request.clone() };
    let mut first = pin!(on(&endpoint, &*connection, request, failed));
    if let Ok(outcome) = tokio::time::timeout(delay, &mut first).await {
        return outcome;
    }
    if !to.inner.budget.withdraw() {
        return first.await;
    }
    let mut second = pin!(once(to, &mut repeated, &mut others, None));
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
    inner.budget.deposit(crate::id::noise());
    let service = inner.resolver.service(&call.target.service);
    let to = To { inner, service: &service };
    let mut request = request(call);
    let (endpoint, connection) = connect(to, request.deadline, &mut Vec::new()).await?;
    request.now = Instant::now();
    let _in_flight = endpoint.begin(request.now, false, 0);
    let opened = connection.open(request, outbound).await;
    if opened.as_ref().is_err_and(unreachable) {
        endpoint.failed();
    }
    opened
}

/// An instance that can be reached; those that cannot rest and are avoided from then on.
async fn connect(
    to: To<'_>,
    deadline: Instant,
    failed: &mut Vec<u64>,
) -> Result<(Arc<Endpoint>, Arc<dyn Connection>)> {
    let mut last = None;
    for _ in 0..INSTANCES {
        let endpoint = to.inner.resolver.pick(to.service, failed, deadline).await?;
        if last.is_some() && failed.contains(&endpoint.serial()) {
            break;
        }
        match endpoint.connection().await {
            Ok(connection) => return Ok((endpoint, connection)),
            Err(status) => {
                endpoint.failed();
                failed.push(endpoint.serial());
                last = Some(status);
            }
        }
    }
    Err(last
        .unwrap_or_else(|| Status::unavailable("no instance can be reached"))
        .with_executed(Executed::No))
}

/// A call as it leaves its interceptors.
pub(super) fn request(call: Incoming) -> Request {
    let Incoming { target, side: _, mut context, encoding, body, inbound: _, outbound: _ } = call;
    let scope = context.scope_of_call();
    Request {
        target,
        encoding,
        now: Instant::now(),
        deadline: scope.deadline,
        correlation: scope.correlation,
        repeated: scope.repeated,
        metadata: std::mem::take(context.metadata_mut()),
        body,
    }
}

/// Whether a call that got this may be sent again at all.
fn may_repeat(status: &Status, idempotent: bool) -> bool {
    status.is_retryable() || (idempotent && status.is_transient())
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
