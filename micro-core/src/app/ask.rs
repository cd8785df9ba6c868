//! Questions to other processes: what every process says about itself, asked of one instance.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::builtin;
use crate::client::Client;
use crate::codec::{self, Encoding};
use crate::describe::{Health, ServiceDescription};
use crate::handler::Target;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::registry::Instance;
use crate::status::{Result, Status};
use crate::transport::Request;

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
    let now = Instant::now();
    let deadline = now + wait;
    let request = Request {
        target: Target::new(builtin::NAME, method),
        encoding: Encoding::MessagePack,
        now,
        deadline,
        correlation: Id::random(),
        repeated: false,
        metadata: Metadata::new(),
        body,
    };
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
