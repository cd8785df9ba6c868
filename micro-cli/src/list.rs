//! `micro list`: what the registry knows, and what each service says it serves.

use std::collections::BTreeMap;

use micro_core::Status;
use micro_core::app;
use micro_core::describe::ServiceDescription;
use micro_core::registry::Instance;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Session, is_listener};

type Answer = Result<Vec<ServiceDescription>, Status>;

pub(crate) async fn run(session: &Session, out: &mut Output) -> Result<(), Failure> {
    let mut instances = session.instances().await?;
    instances.retain(|instance| !is_listener(&instance.service));
    let describe = |client, instance: Instance, wait| async move {
        app::describe(&client, &instance, wait).await
    };
    let answers = session.ask_all(&instances, describe).await;
    let mut services: BTreeMap<(&str, u32), Vec<(&Instance, &Answer)>> = BTreeMap::new();
    for (instance, answer) in instances.iter().zip(&answers) {
        services.entry((&instance.service, instance.version)).or_default().push((instance, answer));
    }
    if out.json() {
        return out.value(&services.iter().map(|(key, found)| json(*key, found)).collect());
    }
    if services.is_empty() {
        eprintln!("no services in the registry {}", session.settings().registry);
        return Ok(());
    }
    let rows: Vec<[String; 4]> = services.iter().map(|(key, found)| row(*key, found)).collect();
    out.table(["SERVICE", "VERSION", "INSTANCES", "HANDLERS"], &rows)
}

/// What the first instance that answers says about the service.
fn description<'a>(
    name: &str,
    found: &[(&Instance, &'a Answer)],
) -> Option<&'a ServiceDescription> {
    let answers = found.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    answers.flatten().find(|service| service.name == name)
}

fn row((name, version): (&str, u32), found: &[(&Instance, &Answer)]) -> [String; 4] {
    let answered = found.iter().filter(|(_, answer)| answer.is_ok()).count();
    let instances = match found.len() {
        all if all == answered => all.to_string(),
        all => format!("{answered} of {all}"),
    };
    let handlers = match description(name, found) {
        None => "?".to_owned(),
        Some(service) => {
            let handlers = service.methods.iter().map(|method| method.name.clone());
            let topics = service.subscriptions.iter().map(|s| format!("<- {}", s.pattern));
            handlers.chain(topics).collect::<Vec<_>>().join(", ")
        }
    };
    [name.to_owned(), version.to_string(), instances, handlers]
}

fn json((name, version): (&str, u32), found: &[(&Instance, &Answer)]) -> Value {
    let service = description(name, found);
    let handlers = service.map(|s| s.methods.iter().map(|m| m.name.as_str()).collect::<Vec<_>>());
    let topics =
        service.map(|s| s.subscriptions.iter().map(|s| s.pattern.as_str()).collect::<Vec<_>>());
    let instances = found.iter().map(|(instance, answer)| {
        json!({
            "id": instance.id,
            "address": instance.addresses.first().map(|address| address.as_str()),
            "pid": pid(instance),
            "error": answer.as_ref().err().map(|status| status.to_string()),
        })
    });
    json!({
        "service": name,
        "version": version,
        "handlers": handlers,
        "subscriptions": topics,
        "instances": instances.collect::<Vec<_>>(),
    })
}

/// The process id that an instance says it has.
pub(crate) fn pid(instance: &Instance) -> Option<u64> {
    instance.metadata.get("pid").and_then(|pid| pid.parse().ok())
}
