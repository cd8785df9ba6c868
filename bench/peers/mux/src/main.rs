//! The bare lane under micro's calls: multiplexed frames over one long-lived stream, with the same
//! MessagePack, and nothing of the framework. What micro costs above this is the framework's own.
//!
//! No names, no deadlines, no limits, no identity of the client, no registry, one route.

mod client;
mod frame;
mod lane;
mod message;
mod quic;
mod server;
mod tcp;

use anyhow::Result;
use bytes::Bytes;
use kit::{Caller, Client, Connection, Echo, Peer, Server};

use client::Lane;
use frame::Kind;
use lane::Out;
use message::Msg;

struct Mux;

impl Peer for Mux {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("quic", "QUIC, datagrams as large as discovery finds (loopback: 6500)"),
        ("quic-1452", "QUIC, datagrams as on Ethernet"),
        ("one-lane", "QUIC, with large bodies on the lane too"),
        ("tls", "TLS 1.3 over TCP"),
        ("tcp", "TCP, no encryption"),
    ];

    async fn serve(server: Server) -> Result<()> {
        match server.variant.as_str() {
            "quic" | "one-lane" => quic::serve(server, kit::quic::MTU).await,
            "quic-1452" => quic::serve(server, kit::quic::MTU_ETHERNET).await,
            "tls" | "tcp" => tcp::serve(server).await,
            _ => server.unknown(),
        }
    }

    async fn client(client: Client) -> Result<()> {
        let address = client.address;
        match client.variant.as_str() {
            "quic" => client.drive(|| quic::connect(address, kit::quic::MTU, true)).await,
            "quic-1452" => {
                client.drive(|| quic::connect(address, kit::quic::MTU_ETHERNET, true)).await
            }
            "one-lane" => client.drive(|| quic::connect(address, kit::quic::MTU, false)).await,
            "tls" => client.drive(|| tcp::connect_tls(address)).await,
            "tcp" => client.drive(|| tcp::connect(address)).await,
            _ => client.unknown(),
        }
    }
}

/// A connection with its lane.
struct Conn<O> {
    lane: Lane<O>,
    /// Where large bodies have streams of their own.
    side: Option<quic::Side>,
}

impl<O> Clone for Conn<O> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone(), side: self.side.clone() }
    }
}

impl<O: Out> Connection for Conn<O> {
    type Caller = EchoCaller<O>;

    async fn caller(&self, size: usize) -> Result<EchoCaller<O>> {
        Ok(EchoCaller { conn: self.clone(), payload: kit::payload(size) })
    }

    async fn items(&self, count: u64, size: usize) -> Result<u64> {
        match &self.side {
            Some(side) => side.items(count, size).await,
            None => anyhow::bail!("unsupported: streams need QUIC"),
        }
    }

    async fn hold(&self) -> Result<()> {
        let message = Msg::new(0, &kit::payload(64));
        self.lane.call(Kind::Hold, |to| message.encode(to)).await?;
        Ok(())
    }
}

struct EchoCaller<O> {
    conn: Conn<O>,
    payload: Bytes,
}

impl<O: Out> Caller for EchoCaller<O> {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        let message = Msg::new(id, &self.payload);
        let reply = match &self.conn.side {
            Some(side) if self.payload.len() >= quic::LARGE => side.call(&message).await?,
            _ => self.conn.lane.call(Kind::Call, |to| message.encode(to)).await?,
        };
        let reply = Msg::decode(&reply)?;
        Ok(Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn main() -> std::process::ExitCode {
    kit::main::<Mux>()
}
