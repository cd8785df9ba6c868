//! `micro describe`: a service as it describes itself.

use micro_core::describe::{MethodDescription, ServiceDescription, SubscriptionDescription};
use serde_json::json;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::output::{Output, plain};
use crate::session::Session;

pub(crate) async fn run(session: &Session, service: &str, out: &mut Output) -> Result<(), Failure> {
    let deadline = Instant::now() + session.settings().request_timeout;
    let described = session.describe(service, deadline).await?;
    match out.json() {
        true => out.value(&json!(described)),
        false => out.styled(&lines(&described, &|text| out.bold(text))),
    }
}

fn lines(service: &ServiceDescription, bold: &dyn Fn(&str) -> String) -> Vec<String> {
    let ServiceDescription {
        name, version, docs, methods, subscriptions, emits, interceptors, ..
    } = service;
    let mut lines = vec![format!("{}  version {version}", bold(name))];
    let mut say = |indent: usize, text: &str| {
        lines.extend(plain(text).lines().map(|line| format!("{:indent$}{line}", "")));
    };
    say(2, docs);
    if !emits.is_empty() {
        say(2, &format!("emits {}", emits.join(", ")));
    }
    if !interceptors.is_empty() {
        say(2, &format!("intercepted by {}", interceptors.join(", ")));
    }
    for method in methods {
        lines.extend(method_lines(service, method, bold));
    }
    for subscription in subscriptions {
        lines.extend(subscription_lines(subscription, bold));
    }
    lines
}

fn method_lines(
    service: &ServiceDescription,
    method: &MethodDescription,
    bold: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let MethodDescription {
        name,
        kind,
        idempotent,
        access,
        http,
        timeout_ms,
        docs,
        request,
        reply,
        ..
    } = method;
    let mut facts = vec![kind.clone()];
    facts.extend(idempotent.then(|| "idempotent".to_owned()));
    facts.extend(timeout_ms.map(|millis| format!("at most {millis} ms")));
    facts.extend(http.clone());
    facts.push(format!("for {access}"));
    let call = bold(&format!("{}.{name}", service.name));
    let mut lines = vec![String::new(), format!("{call}  {}", plain(&facts.join(", ")))];
    lines.extend(plain(docs).lines().map(|line| format!("  {line}")));
    let streams = |streams: bool| if streams { "stream of " } else { "" };
    let (inbound, outbound) = match method.kind() {
        Some(kind) => (kind.has_inbound(), kind.has_outbound()),
        None => (false, false),
    };
    lines.push(format!("  takes    {}{}", streams(inbound), plain(&request.summary())));
    lines.push(format!("  returns  {}{}", streams(outbound), plain(&reply.summary())));
    lines
}

fn subscription_lines(
    subscription: &SubscriptionDescription,
    bold: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let SubscriptionDescription { pattern, topic, group, broadcast, event, .. } = subscription;
    let whom = match broadcast {
        true => "each instance".to_owned(),
        false => format!("group {group}"),
    };
    let of = if pattern == topic { String::new() } else { format!("topic {topic}, ") };
    vec![
        String::new(),
        format!("{}  subscription, {}", bold(pattern), plain(&format!("{of}for {whom}"))),
        format!("  takes    {}", plain(&event.summary())),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn described(service: Value) -> Vec<String> {
        let service = serde_json::from_value(service).expect("a description");
        lines(&service, &|text| format!("*{text}*"))
    }

    #[test]
    fn a_service_is_shown_with_what_it_takes() {
        let string = json!({"root": {"is": "string"}, "types": {}});
        let count = json!({"root": {"is": "int", "min": 0, "max": 9}, "types": {}});
        let lines = described(json!({
            "name": "greeter", "version": 2, "docs": "Greets.", "emits": ["greeted"],
            "interceptors": [],
            "methods": [{
                "name": "ticks", "kind": "server stream", "idempotent": true, "access": "everybody",
                "http": "GET /ticks", "timeout_ms": 250, "docs": "Counts.\nSlowly.",
                "request": count, "reply": string,
            }],
            "subscriptions": [{
                "pattern": "orders.*", "topic": "orders.created", "group": "greeter",
                "broadcast": false, "event": string,
            }],
        }));
        assert_eq!(
            lines.join("\n"),
            "*greeter*  version 2
  Greets.
  emits greeted

*greeter.ticks*  server stream, idempotent, at most 250 ms, GET /ticks, for everybody
  Counts.
  Slowly.
  takes    a whole number from 0 to 9
  returns  stream of a string

*orders.**  subscription, topic orders.created, for group greeter
  takes    a string"
        );
    }

    #[test]
    fn a_hostile_description_cannot_control_the_terminal() {
        let lines = described(json!({
            "name": "a", "version": 1, "docs": "\u{1b}[2Jx", "emits": [], "interceptors": [],
            "methods": [], "subscriptions": [],
        }));
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{lines:?}");
    }
}
