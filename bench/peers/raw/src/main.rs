//! What the transports can do without any framework: the limits.
//!
//! Every caller sends `FRAMING` bytes more than the payload, about what a framed message has around it, of
//! which the first eight are the id; no codec. `tcp`, `tls`, `udp` and `quic` are ping-pong on a connection
//! or stream for each caller; the others put all callers on one connection.

mod h2;
mod quic;
mod tcp;
mod udp;

use anyhow::Result;
use kit::{Client, Echo, Peer, Server};

/// Bytes beside the payload.
const FRAMING: usize = 40;

struct Raw;

impl Peer for Raw {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("quic", "quinn, ping-pong on a stream for each caller"),
        ("quic-1452", "the same, datagrams as on Ethernet"),
        ("quic-streams", "quinn, a stream for each call"),
        ("h2-tls", "HTTP/2 over TLS 1.3, a stream for each call: the ceiling of every gRPC"),
        ("h2", "HTTP/2 without encryption"),
        ("tls", "TLS 1.3, ping-pong on a connection for each caller"),
        ("tcp", "TCP, ping-pong on a connection for each caller"),
        ("udp", "UDP, ping-pong on a socket for each caller; lost datagrams are an error"),
    ];

    async fn serve(server: Server) -> Result<()> {
        match server.variant.as_str() {
            "quic" | "quic-streams" => quic::serve(server, kit::quic::MTU).await,
            "quic-1452" => quic::serve(server, kit::quic::MTU_ETHERNET).await,
            "h2-tls" | "h2" => h2::serve(server).await,
            "tls" | "tcp" => tcp::serve(server).await,
            "udp" => udp::serve(server).await,
            _ => server.unknown(),
        }
    }

    async fn client(client: Client) -> Result<()> {
        let address = client.address;
        match client.variant.as_str() {
            "quic" => client.drive(|| quic::ping_pong(address, kit::quic::MTU)).await,
            "quic-1452" => client.drive(|| quic::ping_pong(address, kit::quic::MTU_ETHERNET)).await,
            "quic-streams" => client.drive(|| quic::streams(address, kit::quic::MTU)).await,
            "h2-tls" => client.drive(|| h2::connect(address, true)).await,
            "h2" => client.drive(|| h2::connect(address, false)).await,
            "tls" => client.drive(|| tcp::tls(address)).await,
            "tcp" => client.drive(|| tcp::plain(address)).await,
            "udp" => client.drive(|| udp::connect(address)).await,
            _ => client.unknown(),
        }
    }
}

/// What a caller sends.
fn request(size: usize) -> Vec<u8> {
    vec![0x5a; size + FRAMING]
}

/// Writes the id into a request.
fn stamp(request: &mut [u8], id: u64) {
    request[..8].copy_from_slice(&id.to_le_bytes());
}

/// What came back.
fn echo(id: [u8; 8], len: usize) -> Echo {
    Echo { id: u64::from_le_bytes(id), len: len.saturating_sub(FRAMING) }
}

fn main() -> std::process::ExitCode {
    kit::main::<Raw>()
}
