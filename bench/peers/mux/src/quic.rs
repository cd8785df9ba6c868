//! QUIC: a lane for small calls, a stream each for large bodies and for streams.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kit::Server;
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use crate::Conn;
use crate::client::Lane;
use crate::frame::{self, Frames, Kind};
use crate::lane::{QuicIn, QuicOut};
use crate::message::Msg;

/// Bodies from here on get a stream of their own.
pub const LARGE: usize = 32 << 10;
/// Above streams of large bodies, which are not fair among each other.
const LANE_PRIORITY: i32 = 10;
/// Items are handed to quinn in chunks of this size: small chunks cost it CPU.
const CHUNK: usize = 32 << 10;

/// The first byte of a stream says what it is.
const LANE: u8 = b'L';
const BODY: u8 = b'B';
const ITEMS: u8 = b'I';

/// Streams beside the lane.
#[derive(Clone)]
pub struct Side {
    connection: Connection,
    // Lives as long as its connection.
    _endpoint: Endpoint,
}

/// Connects and opens the lane.
pub async fn connect(address: SocketAddr, mtu: u16, side: bool) -> Result<Conn<QuicOut>> {
    let (endpoint, connection) = kit::quic::connect(address, mtu).await?;
    let (mut send, receive) = connection.open_bi().await?;
    send.set_priority(LANE_PRIORITY)?;
    send.write_all(&[LANE]).await?;
    let lane = Lane::start(QuicOut::new(send), QuicIn::new(receive));
    let streams = Side { connection, _endpoint: endpoint };
    if !side {
        // The endpoint must live on without it.
        std::mem::forget(streams);
        return Ok(Conn { lane, side: None });
    }
    Ok(Conn { lane, side: Some(streams) })
}

impl Side {
    /// A call on a stream of its own.
    pub async fn call(&self, message: &Msg) -> Result<Bytes> {
        let mut body = BytesMut::with_capacity(message.payload.len() + 128);
        body.put_u8(BODY);
        message.encode(&mut body);
        let (mut send, mut receive) = self.connection.open_bi().await?;
        send.write_chunk(body.freeze()).await?;
        send.finish()?;
        collect(&mut receive, message.payload.len() + 128).await
    }

    /// A server stream.
    pub async fn items(&self, count: u64, size: usize) -> Result<u64> {
        let (mut send, mut receive) = self.connection.open_bi().await?;
        let mut request = BytesMut::new();
        request.put_u8(ITEMS);
        request.put_u64_le(count);
        request.put_u64_le(size as u64);
        send.write_chunk(request.freeze()).await?;
        send.finish()?;
        let mut chunks = vec![Bytes::new(); 64];
        let mut frames = Frames::default();
        let mut came = 0;
        while let Some(count) = receive.read_chunks(&mut chunks).await? {
            chunks[..count].iter_mut().for_each(|chunk| frames.push(std::mem::take(chunk)));
            while let Some((_, body)) = frames.next() {
                ensure!(Msg::decode(&body)?.payload.len() == size, "an item of another size");
                came += 1;
            }
        }
        Ok(came)
    }
}

/// Serves connections.
pub async fn serve(server: Server, mtu: u16) -> Result<()> {
    let endpoint = kit::quic::server(mtu)?;
    server.ready(endpoint.local_addr()?)?;
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let connection = incoming.await?;
            while let Ok((send, receive)) = connection.accept_bi().await {
                tokio::spawn(stream(send, receive));
            }
            anyhow::Ok(())
        });
    }
    Ok(())
}

async fn stream(mut send: SendStream, mut receive: RecvStream) -> Result<()> {
    let mut kind = [0];
    receive.read_exact(&mut kind).await?;
    match kind[0] {
        LANE => {
            send.set_priority(LANE_PRIORITY)?;
            crate::server::serve(QuicOut::new(send), QuicIn::new(receive)).await
        }
        BODY => {
            let message = Msg::decode(&collect(&mut receive, 64 << 10).await?)?;
            let mut reply = BytesMut::new();
            message.encode(&mut reply);
            send.write_chunk(reply.freeze()).await?;
            Ok(send.finish()?)
        }
        _ => {
            let mut request = collect(&mut receive, 16).await?;
            let count = request.try_get_u64_le().context("a count")?;
            let size = request.try_get_u64_le().context("a size")?;
            items(send, count, size as usize).await
        }
    }
}

async fn items(mut send: SendStream, count: u64, size: usize) -> Result<()> {
    let payload = kit::payload(size);
    let mut chunk = BytesMut::with_capacity(2 * CHUNK);
    for id in 0..count {
        let item = Msg::new(id, &payload);
        frame::put(&mut chunk, Kind::Reply, id, |to| item.encode(to));
        if chunk.len() >= CHUNK {
            send.write_chunk(chunk.split().freeze()).await?;
            chunk.reserve(2 * CHUNK);
        }
    }
    send.write_chunk(chunk.freeze()).await?;
    Ok(send.finish()?)
}

/// Reads a stream to its end.
async fn collect(receive: &mut RecvStream, expected: usize) -> Result<Bytes> {
    let mut body = BytesMut::with_capacity(expected);
    let mut chunks = vec![Bytes::new(); 32];
    while let Some(count) = receive.read_chunks(&mut chunks).await? {
        for chunk in &mut chunks[..count] {
            body.extend_from_slice(chunk);
            *chunk = Bytes::new();
        }
        ensure!(body.len() <= kit::LARGEST, "a body that never ends");
    }
    Ok(body.freeze())
}
