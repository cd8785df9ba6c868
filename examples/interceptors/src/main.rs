//! Interceptors: who calls, whether they may, and what happened. They run in the order of their phases,
//! around unary calls, streams and events alike.
//!
//! ```sh
//! cargo run -p interceptors
//! cargo run -p micro-cli -- call vault.open                                     # unauthenticated
//! cargo run -p micro-cli -- call vault.open --metadata token=ann                # permission_denied
//! cargo run -p micro-cli -- call vault.open --metadata token=boss               # "gold"
//! cargo run -p micro-cli -- call vault.health                                   # true
//! ```

use micro::prelude::*;

/// Logs every call and how it ended, refusals included.
#[interceptor(phase = observe)]
async fn log(call: Incoming, next: Next<'_>) -> Outcome {
    let (target, id) = (call.target.clone(), call.context.correlation());
    let outcome = next.run(call).await;
    match &outcome {
        Ok(_) => println!("{id} {target} ok"),
        Err(status) => println!("{id} {target} {status}"),
    }
    outcome
}

/// Finds out who calls. (A real one checks a signature.)
#[interceptor(phase = authenticate, provides(Principal))]
async fn token(mut call: Incoming, next: Next<'_>) -> Outcome {
    if let Some(name) = call.context.metadata().get("token") {
        let name = name.to_owned();
        let roles = if name == "boss" { vec!["owner".to_owned()] } else { Vec::new() };
        call.context.set_principal(Principal { name, roles });
    }
    next.run(call).await
}

/// Refuses the greedy. It needs a principal: listed without `token`, it would not compile.
#[interceptor(phase = quota, requires(Principal))]
async fn once_a_day(call: Incoming, next: Next<'_>) -> Outcome {
    match call.context.principal() {
        Some(who) if who.name == "greedy" => Err(Status::resource_exhausted("come back tomorrow")),
        _ => next.run(call).await,
    }
}

/// Holds gold.
#[derive(Default)]
pub struct Vault;

#[service(intercept(log, token, once_a_day(except(health))))]
impl Vault {
    /// Only an owner opens it.
    #[handler(roles = ["owner"])]
    async fn open(&self, who: &Principal) -> String {
        println!("opened by {}", who.name);
        "gold".to_owned()
    }

    /// Everybody may ask.
    #[handler(public, idempotent)]
    async fn health(&self) -> bool {
        true
    }
}

#[micro::main]
async fn main() -> micro::Result<()> {
    micro::run().await
}
