//! `micro health`: asks every instance how it is.

use micro_core::app;
use micro_core::describe::Health;
use micro_core::registry::Instance;
use micro_core::{Result as Answered, Status};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::list::pid;
use crate::output::Output;
use crate::session::{Session, is_listener};

pub(crate) async fn run(
    session: &Session,
    service: Option<&str>,
    out: &mut Output,
) -> Result<(), Failure> {
    let instances = match service {
        Some(service) => session.find(service).await?,
        None => {
            let mut all = session.instances().await?;
            all.retain(|instance| !is_listener(&instance.service));
            all
        }
    };
    if instances.is_empty() {
        return Err(Failure::NotFound {
            what: format!("no services in the registry {}", session.settings().registry),
            wanted: String::new(),
            known: Vec::new(),
        });
    }
    let health = |client, instance: Instance, wait| async move {
        app::health(&client, &instance, wait).await
    };
    let answers = session.ask_all(&instances, health).await;
    let both = || instances.iter().zip(&answers);
    match out.json() {
        true => out.value(&both().map(|(instance, answer)| json(instance, answer)).collect())?,
        false => {
            let rows: Vec<_> = both().map(|(instance, answer)| row(instance, answer)).collect();
            out.table(["SERVICE", "ADDRESS", "PID", "STATUS", "UPTIME", "RUNNING"], &rows)?;
            for (instance, status) in both().filter_map(|(i, a)| Some((i, a.as_ref().err()?))) {
                eprintln!("{}: {}", instance.service, crate::output::plain(&status.to_string()));
            }
        }
    }
    match answers.iter().all(|answer| word(answer) == "serving") {
        true => Ok(()),
        false => Err(Failure::Unhealthy),
    }
}

fn word(answer: &Answered<Health>) -> &'static str {
    match answer {
        Ok(health) if health.serving => "serving",
        Ok(_) => "draining",
        Err(_) => "unreachable",
    }
}

fn address(instance: &Instance) -> Option<&str> {
    instance.addresses.first().map(|address| address.as_str())
}

fn row(instance: &Instance, answer: &Answered<Health>) -> [String; 6] {
    let unknown = || "-".to_owned();
    [
        instance.service.clone(),
        address(instance).map_or_else(unknown, str::to_owned),
        pid(instance).map_or_else(unknown, |pid| pid.to_string()),
        word(answer).to_owned(),
        answer.as_ref().map_or_else(|_: &Status| unknown(), |health| uptime(health.uptime)),
        answer.as_ref().map_or_else(|_: &Status| unknown(), |health| health.running.to_string()),
    ]
}

fn json(instance: &Instance, answer: &Answered<Health>) -> Value {
    let health = answer.as_ref().ok();
    json!({
        "service": instance.service,
        "id": instance.id,
        "address": address(instance),
        "pid": pid(instance),
        "status": word(answer),
        "uptime": health.map(|health| health.uptime),
        "running": health.map(|health| health.running),
        "version": health.map(|health| health.version.as_str()),
        "error": answer.as_ref().err().map(|status| status.to_string()),
    })
}

/// Seconds as people read them, by the two largest units.
fn uptime(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, h, _, _) => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_have_two_units() {
        for (seconds, text) in [(0, "0s"), (61, "1m1s"), (3_660, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(uptime(seconds), text);
        }
    }
}
