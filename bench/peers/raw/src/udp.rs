//! UDP.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kit::{Caller, Connection, Echo, Server};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The largest payload that fits into one datagram.
const LARGEST: usize = 60_000;

pub async fn serve(server: Server) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    server.ready(socket.local_addr()?)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..len], from).await?;
    }
}

#[derive(Clone)]
pub struct Udp(SocketAddr);

pub async fn connect(address: SocketAddr) -> Result<Udp> {
    Ok(Udp(address))
}

impl Connection for Udp {
    type Caller = PingPong;

    async fn caller(&self, size: usize) -> Result<PingPong> {
        ensure!(size <= LARGEST, "unsupported: {size} bytes do not fit into a datagram");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(self.0).await?;
        Ok(PingPong { socket, request: crate::request(size), buffer: vec![0; 1 << 16] })
    }
}

pub struct PingPong {
    socket: UdpSocket,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Caller for PingPong {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        crate::stamp(&mut self.request, id);
        self.socket.send(&self.request).await?;
        let reply = timeout(Duration::from_secs(1), self.socket.recv(&mut self.buffer));
        let len = reply.await.context("a datagram was lost")??;
        Ok(crate::echo(*self.buffer.first_chunk().context("a short reply")?, len))
    }
}
