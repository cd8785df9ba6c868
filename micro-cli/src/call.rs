//! `micro call`: finds the service, asks it what it takes, checks the JSON, calls, prints.

use std::io::{IsTerminal, stderr, stdin};

use bytes::Bytes;
use micro_core::client::Repeat;
use micro_core::describe::{MethodDescription, ServiceDescription};
use micro_core::handler::Target;
use micro_core::service::Kind;
use micro_core::stream::{ItemSink, Items};
use micro_core::{Context, Encoding, Incoming, Status};
use tokio::time::Instant;

use crate::args::Call;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(session: &Session, call: &Call, out: &mut Output) -> Result<(), Failure> {
    let (service, name) = &call.target;
    let began = Instant::now();
    let settings = session.settings();
    let patience = call.timeout.unwrap_or(settings.request_timeout);
    let described = session.describe(service, began + patience).await?;
    let method = find(&described, name)?;
    let kind = method.kind().ok_or_else(|| {
        let text = format!("`{name}` is a {} call, which this version does not know", method.kind);
        Failure::Plain(text)
    })?;
    let usual = match kind {
        Kind::Unary => settings.request_timeout,
        Kind::Bidi | Kind::ClientStream | Kind::ServerStream => settings.stream_timeout,
    };
    let mut context = Context::new(call.timeout.unwrap_or(usual));
    if let Some(timeout) = call.timeout {
        // Finding out how to call it was part of the call.
        context.shorten_deadline(began + timeout);
    }
    for (key, value) in &call.metadata {
        let inserted = context.metadata_mut().insert(key, value);
        inserted.map_err(|error| Failure::usage(error.to_string()))?;
    }
    let body = body(call, kind, method)?;
    let mut target = Target::new(service.clone(), name.clone());
    (target.kind, target.idempotent) = (kind, method.idempotent);
    let outgoing = Incoming::outgoing(target, context, Encoding::Json, body);
    if kind == Kind::Unary {
        let reply = session.client().call(outgoing, Repeat::default()).await?;
        return out.reply(text(&reply.body)?);
    }
    let (items, sink) = session.client().open(outgoing).await?;
    match sink {
        None => receive(items, out).await,
        Some(sink) => both(items, sink, &display(call), method, out).await,
    }
}

/// The handler of this name.
fn find<'a>(service: &'a ServiceDescription, name: &str) -> Result<&'a MethodDescription, Failure> {
    let found = service.methods.iter().find(|method| method.name == name);
    found.ok_or_else(|| Failure::NotFound {
        what: format!("no handler `{name}` in `{}`", service.name),
        wanted: name.to_owned(),
        known: service.methods.iter().map(|method| method.name.clone()).collect(),
    })
}

/// What is sent at once. Of a client stream the schema says what the items are, and nothing about
/// arguments beside them, which the service checks.
fn body(call: &Call, kind: Kind, method: &MethodDescription) -> Result<Bytes, Failure> {
    if !kind.has_inbound() {
        let json = input::argument(call.body.as_deref())?;
        return input::checked(&display(call), &method.request, json.as_deref(), None);
    }
    match call.body.as_deref() {
        None | Some("-") => Ok(Bytes::from_static(b"null")),
        Some(arguments) => {
            input::checked(&display(call), &Default::default(), Some(arguments), None)
        }
    }
}

fn display(call: &Call) -> String {
    let (service, method) = &call.target;
    format!("{service}.{method}")
}

/// Prints what the service streams, or the one reply of a client stream.
async fn receive(mut items: Items, out: &mut Output) -> Result<(), Failure> {
    while let Some(item) = items.next().await {
        out.item(text(&item?)?)?;
    }
    Ok(())
}

/// Sends the lines of the standard input while it prints what comes back. The service's end ends both.
async fn both(
    items: Items,
    sink: ItemSink,
    target: &str,
    method: &MethodDescription,
    out: &mut Output,
) -> Result<(), Failure> {
    if stdin().is_terminal() && stderr().is_terminal() {
        eprintln!("{target} takes {} a line; Ctrl-D ends", method.request.summary());
    }
    let mut sink = Some(sink);
    let send = async {
        let mut lines = input::lines();
        while let Some(sending) = &sink
            && let Some(line) = lines.recv().await
        {
            let (number, json) = line?;
            let item = input::checked(target, &method.request, Some(json.trim()), Some(number))?;
            if sending.send(item).await.is_err() {
                // The service wants no more; why, it says at its end.
                break;
            }
        }
        // Only here: on an error the call is cancelled with its items, before the sink is dropped, which
        // would tell the service that this was all.
        sink = None;
        Ok::<_, Failure>(())
    };
    let receive = receive(items, out);
    tokio::pin!(send, receive);
    tokio::select! {
        received = &mut receive => received,
        sent = &mut send => {
            sent?;
            receive.await
        }
    }
}

/// A reply is JSON, since the call was.
fn text(body: &Bytes) -> Result<&str, Failure> {
    if body.is_empty() {
        return Ok("null");
    }
    let text = std::str::from_utf8(body).ok();
    let is_json = |text: &&str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    text.filter(is_json).ok_or_else(|| {
        Status::internal("the service answered with something that is no JSON").into()
    })
}
