//! The whole framework, as a user has it: the attributes, the generated client, the registry of the
//! machine, mutual TLS of the development CA, deadlines, limits, balancing, interceptors and logs.
//!
//! The address is not used: the client finds the server in the registry. Both must therefore have the
//! same `MICRO_HOME`, and nobody else's `bench` may run there.

mod events;
mod service;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use kit::{Caller, Client, Connection, Echo, Peer, Server};
use micro::Blob;
use micro::prelude::*;

use events::Subscriber;
use service::{Bench, BenchClient, Msg};

struct Ours;

impl Peer for Ours {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("quic", "QUIC, datagrams as large as discovery finds (loopback: 6500)"),
        ("quic-1452", "QUIC, datagrams as on Ethernet"),
        ("tcp", "TLS 1.3 over TCP"),
        ("fanout", "events through the embedded broker, over QUIC"),
    ];

    async fn serve(server: Server) -> Result<()> {
        logs();
        let app = App::new().service(Bench).settings(settings::of(&server.variant)?);
        let running = app.start().await.map_err(Status::into_error)?;
        let address = running.address().context("a server listens")?;
        server.ready(address.authority().parse()?)?;
        running.stopped().await;
        Ok(())
    }

    async fn client(client: Client) -> Result<()> {
        logs();
        let settings = settings::of(&client.variant)?;
        if client.variant == "fanout" {
            let publisher = Conn::open(settings.clone()).await?;
            let registry = events::registry()?;
            return client
                .fan_out(
                    |tally| Subscriber::start(settings.clone(), Arc::clone(&registry), tally),
                    |count, size| publisher.publish(count, size),
                )
                .await;
        }
        client.drive(|| Conn::open(settings.clone())).await
    }

    fn own_runtime() -> Option<ExitCode> {
        Some(users_main())
    }
}

/// Logs as `#[micro::main]` sets them up, so that what costs something when they are on, costs it here.
fn logs() {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .try_init()
        // `#[micro::main]` has done so.
        .ok();
}

/// A process that calls: an app of its own, with its own connection.
#[derive(Clone)]
struct Conn {
    bench: BenchClient,
    _running: Arc<micro::Running>,
}

impl Conn {
    async fn open(settings: micro::Settings) -> Result<Self> {
        let running = App::new().settings(settings).start().await.map_err(Status::into_error)?;
        Ok(Self { bench: running.service(), _running: Arc::new(running) })
    }

    /// Has the server publish: it is the publisher, and its subscribers are in this process.
    async fn publish(&self, count: u64, size: usize) -> Result<()> {
        Ok(self
            .bench
            .publish(count, size as u64)
            .timeout(secs(60))
            .await
            .map_err(Status::into_error)?)
    }
}

impl Connection for Conn {
    type Caller = EchoCaller;

    async fn caller(&self, size: usize) -> Result<EchoCaller> {
        Ok(EchoCaller { bench: self.bench.clone(), payload: kit::payload(size).into() })
    }

    async fn items(&self, count: u64, size: usize) -> Result<u64> {
        let mut items = self.bench.items(count, size as u64).await.map_err(Status::into_error)?;
        let mut came = 0;
        while let Some(item) = items.next().await {
            anyhow::ensure!(
                item.map_err(Status::into_error)?.payload.len() == size,
                "an item of another size"
            );
            came += 1;
        }
        Ok(came)
    }

    async fn hold(&self) -> Result<()> {
        Ok(self.bench.hold().timeout(secs(60)).await.map_err(Status::into_error)?)
    }
}

struct EchoCaller {
    bench: BenchClient,
    payload: Blob,
}

impl Caller for EchoCaller {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        let msg = Msg { id, name: kit::NAME.into(), payload: self.payload.clone() };
        let reply = self.bench.echo(msg).await.map_err(Status::into_error)?;
        Ok(Echo { id: reply.id, len: reply.payload.len() })
    }
}

/// A process as users have it: on the runtime of the attribute.
#[micro::main]
async fn users_main() -> micro::Result<()> {
    match kit::on_own_runtime::<Ours>().await == ExitCode::SUCCESS {
        true => Ok(()),
        false => Err(Status::internal("see above")),
    }
}

fn main() -> ExitCode {
    kit::main::<Ours>()
}
