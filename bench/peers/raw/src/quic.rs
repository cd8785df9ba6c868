//! quinn: streams that are kept, and streams for each call.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use kit::{Caller, Connection, Echo, Server};
use quinn::{Endpoint, RecvStream, SendStream};

pub async fn serve(server: Server, mtu: u16) -> Result<()> {
    let endpoint = kit::quic::server(mtu)?;
    server.ready(endpoint.local_addr()?)?;
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let connection = incoming.await?;
            while let Ok((send, receive)) = connection.accept_bi().await {
                tokio::spawn(echo(send, receive));
            }
            anyhow::Ok(())
        });
    }
    Ok(())
}

/// Chunks go back as they come, several at a time.
async fn echo(mut send: SendStream, mut receive: RecvStream) -> Result<()> {
    let mut chunks = vec![Bytes::new(); 64];
    while let Some(count) = receive.read_chunks(&mut chunks).await? {
        send.write_all_chunks(&mut chunks[..count]).await?;
    }
    Ok(send.finish()?)
}

#[derive(Clone)]
pub struct Conn<const STREAM_PER_CALL: bool> {
    connection: quinn::Connection,
    // Lives as long as its connection.
    _endpoint: Endpoint,
}

pub async fn ping_pong(address: SocketAddr, mtu: u16) -> Result<Conn<false>> {
    let (endpoint, connection) = kit::quic::connect(address, mtu).await?;
    Ok(Conn { connection, _endpoint: endpoint })
}

pub async fn streams(address: SocketAddr, mtu: u16) -> Result<Conn<true>> {
    let (endpoint, connection) = kit::quic::connect(address, mtu).await?;
    Ok(Conn { connection, _endpoint: endpoint })
}

impl Connection for Conn<false> {
    type Caller = PingPong;

    async fn caller(&self, size: usize) -> Result<PingPong> {
        let stream = self.connection.open_bi().await?;
        Ok(PingPong { stream, request: crate::request(size), reply: crate::request(size) })
    }
}

pub struct PingPong {
    stream: (SendStream, RecvStream),
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Caller for PingPong {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        let Self { stream: (send, receive), request, reply } = self;
        crate::stamp(request, id);
        let (request, len) = (Bytes::copy_from_slice(request), reply.len());
        // Both at once: a body larger than the window is on its way back before it has all been sent.
        let send = async { anyhow::Ok(send.write_chunk(request).await?) };
        let receive = async { anyhow::Ok(receive.read_exact(reply).await?) };
        tokio::try_join!(send, receive)?;
        Ok(crate::echo(*reply.first_chunk().context("a short reply")?, len))
    }
}

impl Connection for Conn<true> {
    type Caller = StreamPerCall;

    async fn caller(&self, size: usize) -> Result<StreamPerCall> {
        Ok(StreamPerCall { connection: self.connection.clone(), request: crate::request(size) })
    }
}

pub struct StreamPerCall {
    connection: quinn::Connection,
    request: Vec<u8>,
}

impl Caller for StreamPerCall {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        crate::stamp(&mut self.request, id);
        let request = Bytes::copy_from_slice(&self.request);
        let (mut send, mut receive) = self.connection.open_bi().await?;
        let send = async {
            send.write_chunk(request).await?;
            send.finish()?;
            anyhow::Ok(())
        };
        let receive = async { anyhow::Ok(receive.read_to_end(kit::LARGEST).await?) };
        let ((), reply) = tokio::try_join!(send, receive)?;
        Ok(crate::echo(*reply.first_chunk().context("a short reply")?, reply.len()))
    }
}
