//! HTTP/2 by the crate that tonic, hyper and connect-rust stand on, with bodies of bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use kit::tls::Certified;
use kit::{Caller, Connection, Echo, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Windows that a body of 1 MiB fits into; the default of 64 KiB would be a round trip for each.
const STREAM_WINDOW: u32 = 4 << 20;
const WINDOW: u32 = 32 << 20;
/// As tonic's default.
const FRAME: u32 = 16 << 10;

pub async fn serve(server: Server) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let acceptor = match server.variant.as_str() {
        "h2-tls" => {
            let certified = Certified::new()?;
            certified.publish(address)?;
            let mut tls = certified.server()?;
            tls.alpn_protocols = vec![b"h2".to_vec()];
            Some(TlsAcceptor::from(Arc::new(tls)))
        }
        _ => None,
    };
    server.ready(address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                Some(acceptor) => connection(acceptor.accept(stream).await?).await,
                None => connection(stream).await,
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .handshake(stream)
        .await?;
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request?;
        tokio::spawn(async move {
            let body = collect(request.into_body()).await?;
            send(respond.send_response(Response::new(()), false)?, body).await
        });
    }
    Ok(())
}

#[derive(Clone)]
pub struct Conn(SendRequest<Bytes>);

pub async fn connect(address: SocketAddr, tls: bool) -> Result<Conn> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if !tls {
        return handshake(stream).await;
    }
    let mut config = kit::tls::client(address)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    handshake(connector.connect(kit::tls::HOST.try_into()?, stream).await?).await
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Conn> {
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .initial_max_send_streams(1024)
        .handshake(stream)
        .await?;
    tokio::spawn(connection);
    Ok(Conn(send))
}

impl Connection for Conn {
    type Caller = StreamPerCall;

    async fn caller(&self, size: usize) -> Result<StreamPerCall> {
        Ok(StreamPerCall { connection: self.0.clone(), request: crate::request(size) })
    }
}

pub struct StreamPerCall {
    connection: SendRequest<Bytes>,
    request: Vec<u8>,
}

impl Caller for StreamPerCall {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        crate::stamp(&mut self.request, id);
        let body = Bytes::copy_from_slice(&self.request);
        let head = Request::post("http://localhost/bench.Bench/Echo").body(())?;
        let mut ready = self.connection.clone().ready().await?;
        let (response, stream) = ready.send_request(head, false)?;
        let receive = async { collect(response.await?.into_body()).await };
        let ((), reply) = tokio::try_join!(send(stream, body), receive)?;
        Ok(crate::echo(*reply.first_chunk().context("a short reply")?, reply.len()))
    }
}

/// Sends a body as the windows allow.
async fn send(mut stream: SendStream<Bytes>, mut body: Bytes) -> Result<()> {
    // What fits into the first window need not ask for room.
    if body.len() <= FRAME as usize {
        return Ok(stream.send_data(body, true)?);
    }
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.context("the stream has ended")??;
        let part = body.split_to(room.min(body.len()));
        stream.send_data(part, body.is_empty())?;
    }
    Ok(())
}

async fn collect(mut body: RecvStream) -> Result<Bytes> {
    let Some(first) = body.data().await.transpose()? else { return Ok(Bytes::new()) };
    body.flow_control().release_capacity(first.len())?;
    let Some(second) = body.data().await.transpose()? else { return Ok(first) };
    let mut all = BytesMut::from(&first[..]);
    let mut next = Some(second);
    while let Some(chunk) = next {
        body.flow_control().release_capacity(chunk.len())?;
        all.extend_from_slice(&chunk);
        next = body.data().await.transpose()?;
    }
    Ok(all.freeze())
}
