//! The settings of each variant: defaults and environment, as every process, and what the variant says.

use anyhow::{Result, bail};
use micro::Settings;
use micro::config::{Asked, KEYS, Layers};

/// Names the largest datagram that discovery may reach.
const MTU: &str = "MICRO_QUIC_MTU";

/// Room for the calls that wait in `hold`; costs nothing while there are few.
const MAX_IN_FLIGHT: usize = 200_000;

/// The settings of this variant.
pub fn of(variant: &str) -> Result<Settings> {
    let mut layers = Layers::of_process();
    // The command line is the benchmark's.
    layers.arguments.clear();
    match variant {
        "quic" | "fanout" => {}
        "quic-1452" => {
            if KEYS.iter().all(|key| key.env != MTU) {
                bail!("unsupported: micro has no setting `{MTU}`");
            }
            layers.environment.retain(|(name, _)| name != MTU);
            layers.environment.push((MTU.into(), "1452".into()));
        }
        "tcp" => layers.environment.push(("MICRO_TRANSPORT".into(), "tcp".into())),
        other => bail!("no variant `{other}`"),
    }
    let Asked::Run(loaded) = layers.load().map_err(micro::Status::into_error)? else {
        bail!("no flags were given, so there is nothing to print");
    };
    let mut settings = loaded.settings;
    settings.max_in_flight = MAX_IN_FLIGHT;
    Ok(settings)
}
