//! Questions to other processes: what every process says about itself, asked of one instance.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::builtin;
use crate::call::Kind;
use crate::client::Client;
use crate::codec::{self, Encoding};
use crate::describe::{Health, ServiceDescription};
use crate::handler::Target;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::registry::Instance;
use crate::status::{Result, Status};
use crate::stream::{Items, Outbound};
use crate::transport::{LONGEST_CALL, Request};

/// What the process of `instance` serves. The process proves first that it speaks for the service that
/// the record names.
///
/// # Errors
/// `Unavailable` when it cannot be reached, `DeadlineExceeded` when it does not answer within `wait`.
pub async fn describe(
    client: &Client,
    instance: &Instance,
    wait: Duration,
) -> Result<Vec<ServiceDescription>> {
    let reply = ask(client, instance, builtin::DESCRIBE, Bytes::from_static(NIL), wait).await?;
    codec::decode(Encoding::MessagePack, &reply)
}

/// How the process of `instance` is.
///
/// # Errors
/// As [`describe`].
pub async fn health(client: &Client, instance: &Instance, wait: Duration) -> Result<Health> {
    let reply = ask(client, instance, builtin::HEALTH, Bytes::from_static(NIL), wait).await?;
    codec::decode(Encoding::MessagePack, &reply)
}

/// How long connecting and opening a stream may take.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// Nothing, in MessagePack.
const NIL: &[u8] = &[0xc0];

/// Calls a handler of the framework's own service on one instance: over the connection to the service that
/// the instance belongs to, past the interceptors and the balancer.
pub(super) async fn ask(
    client: &Client,
    instance: &Instance,
    method: &'static str,
    body: Bytes,
    wait: Duration,
) -> Result<Bytes> {
    let request = request(Target::new(builtin::NAME, method), wait, body);
    let deadline = request.deadline;
    let correlation = request.correlation;
    let send = async {
        let endpoint = client.resolver().instance(instance).await?;
        let connection = endpoint.connection().await?;
        connection.call(&request).await
    };
    match timeout_at(deadline, send).await {
        Ok(reply) => Ok(reply?.body),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "instance {} of `{}` did not answer `{method}` within {wait:?}",
            instance.id, instance.service
        ))
        .with_correlation(correlation)),
    }
}

/// Opens a stream to a handler of the framework's own service on one instance, like [`ask`]. It may live
/// as long as any call may.
pub(super) async fn open(
    client: &Client,
    instance: &Instance,
    method: &'static str,
    outbound: Outbound,
) -> Result<Items> {
    let target = Target { kind: Kind::Bidi, ..Target::new(builtin::NAME, method) };
    let request = request(target, LONGEST_CALL, Bytes::new());
    let open = async {
        let endpoint = client.resolver().instance(instance).await?;
        let connection = endpoint.connection().await?;
        connection.open(request, Some(outbound)).await
    };
    match timeout(OPEN_WAIT, open).await {
        Ok(opened) => opened,
        Err(_) => Err(Status::unavailable(format!(
            "instance {} of `{}` did not take `{method}` within {OPEN_WAIT:?}",
            instance.id, instance.service
        ))),
    }
}

fn request(target: Target, wait: Duration, body: Bytes) -> Request {
    let now = Instant::now();
    Request {
        target,
        encoding: Encoding::MessagePack,
        now,
        deadline: now + wait,
        correlation: Id::random(),
        repeated: false,
        metadata: Metadata::new(),
        body,
    }
}
