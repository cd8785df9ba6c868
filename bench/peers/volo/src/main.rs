//! volo-thrift as a peer: plain TCP, since its crate has no TLS, with TTHeader and the binary protocol.
//!
//! Payloads are `Bytes`: linked into the frame on the way out and sliced from it on the way in, which is
//! why it leads for large bodies.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use bytes::Bytes;
use tokio::net::TcpListener;
use volo::net::incoming::DefaultIncoming;
use volo_thrift::ServerError;

use generated::echo::{
    EchoService, EchoServiceClient, EchoServiceClientBuilder, EchoServiceServer, Message,
};

#[allow(missing_docs, unsafe_code, clippy::all, clippy::unwrap_used)]
mod generated {
    mod included {
        include!(concat!(env!("OUT_DIR"), "/volo_gen.rs"));
    }
    pub(crate) use included::volo_gen::*;
}

struct Echoes;

impl EchoService for Echoes {
    async fn echo(&self, message: Message) -> Result<Message, ServerError> {
        Ok(message)
    }

    async fn hold(&self, _: Message) -> Result<Message, ServerError> {
        std::future::pending().await
    }
}

struct Volo;

impl kit::Peer for Volo {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("mux", "thrift over plain TCP, calls multiplexed on one connection"),
        ("pool", "thrift over plain TCP, one connection for each call in flight: volo's default"),
    ];

    async fn serve(server: kit::Server) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        server.ready(listener.local_addr()?)?;
        EchoServiceServer::new(Echoes)
            .multiplex(server.variant == "mux")
            .run(DefaultIncoming::from(listener))
            .await
            .map_err(anyhow::Error::from_boxed)
    }

    async fn client(client: kit::Client) -> Result<()> {
        let multiplex = client.variant == "mux";
        client.drive(|| async move { Ok(connect(client.address, multiplex)) }).await
    }
}

fn connect(address: SocketAddr, multiplex: bool) -> Connection {
    let client = EchoServiceClientBuilder::new("echo")
        .address(address)
        .multiplex(multiplex)
        // Without a timeout there is no timer for each call.
        .rpc_timeout(None)
        .build();
    Connection(client)
}

#[derive(Clone)]
struct Connection(EchoServiceClient);

impl kit::Connection for Connection {
    type Caller = Caller;

    async fn caller(&self, size: usize) -> Result<Caller> {
        Ok(Caller { client: self.0.clone(), payload: kit::payload(size) })
    }

    async fn hold(&self) -> Result<()> {
        self.0.hold(message(0, Bytes::new())).await?;
        Ok(())
    }
}

struct Caller {
    client: EchoServiceClient,
    payload: Bytes,
}

impl kit::Caller for Caller {
    async fn call(&mut self, id: u64) -> Result<kit::Echo> {
        let reply = self.client.echo(message(id, self.payload.clone())).await?;
        Ok(kit::Echo { id: reply.id as u64, len: reply.payload.len() })
    }
}

fn message(id: u64, payload: Bytes) -> Message {
    // Thrift has no unsigned numbers: the bits are the same.
    Message { id: id as i64, name: kit::NAME.into(), payload }
}

fn main() -> ExitCode {
    kit::main::<Volo>()
}
