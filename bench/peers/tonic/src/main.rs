//! gRPC as most Rust programs have it: tonic with prost, over TLS 1.3 or plain.
//!
//! Settings and their reasons: `bytes` fields are `Bytes` (no copy); no-delay is on at both ends (tonic's
//! default is on for channels, and is set for the server); the `-wide` variants have HTTP/2 windows of
//! 16 MiB and frames of 1 MiB, which its docs suggest for bulk, and count where they are faster.

mod service;

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use kit::{Caller, Client, Connection, Echo, Peer, Server};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use service::pb::bench_client::BenchClient;
use service::pb::{Empty, Many, Msg};

/// Bytes of one stream and of a connection under way, in the `-wide` variants.
const STREAM_WINDOW: u32 = 16 << 20;
const WINDOW: u32 = 64 << 20;

struct Tonic;

impl Peer for Tonic {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("tls", "TLS 1.3"),
        ("plain", "no encryption"),
        ("tls-wide", "TLS 1.3, HTTP/2 windows for bulk"),
        ("plain-wide", "no encryption, HTTP/2 windows for bulk"),
    ];

    async fn serve(server: Server) -> Result<()> {
        service::serve(server).await
    }

    async fn client(client: Client) -> Result<()> {
        client.drive(|| open(client.variant.clone(), client.address)).await
    }
}

#[derive(Clone)]
struct Conn(BenchClient<Channel>);

async fn open(variant: String, address: SocketAddr) -> Result<Conn> {
    let tls = variant.starts_with("tls");
    let scheme = if tls { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?.tcp_nodelay(true);
    if tls {
        let trusted = Certificate::from_pem(kit::tls::trusted_pem(address)?);
        let config = ClientTlsConfig::new().domain_name(kit::tls::HOST).ca_certificate(trusted);
        endpoint = endpoint.tls_config(config)?;
    }
    if variant.ends_with("-wide") {
        endpoint = endpoint
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW);
    }
    let client = BenchClient::new(endpoint.connect().await?);
    Ok(Conn(client.max_decoding_message_size(kit::LARGEST)))
}

impl Connection for Conn {
    type Caller = EchoCaller;

    async fn caller(&self, size: usize) -> Result<EchoCaller> {
        Ok(EchoCaller { client: self.0.clone(), payload: kit::payload(size) })
    }

    async fn items(&self, count: u64, size: usize) -> Result<u64> {
        let request = Many { count, size: size as u64 };
        let mut items = self.0.clone().items(request).await?.into_inner();
        let mut came = 0;
        while let Some(item) = items.message().await? {
            anyhow::ensure!(item.payload.len() == size, "an item of another size");
            came += 1;
        }
        Ok(came)
    }

    async fn hold(&self) -> Result<()> {
        self.0.clone().hold(Empty {}).await?;
        Ok(())
    }
}

struct EchoCaller {
    client: BenchClient<Channel>,
    payload: Bytes,
}

impl Caller for EchoCaller {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        let msg = Msg { id, name: kit::NAME.into(), payload: self.payload.clone() };
        let reply = self.client.echo(msg).await?.into_inner();
        Ok(Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn main() -> std::process::ExitCode {
    kit::main::<Tonic>()
}
