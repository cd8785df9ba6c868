//! TCP with and without TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use kit::tls::Certified;
use kit::{Caller, Connection, Echo, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Bytes that are read at a time.
const BUFFER: usize = 128 << 10;
/// Requests from here on are written while the reply is read, or both sides would wait for room.
const LARGE: usize = 128 << 10;

pub async fn serve(server: Server) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let acceptor = match server.variant.as_str() {
        "tls" => {
            let certified = Certified::new()?;
            certified.publish(address)?;
            Some(TlsAcceptor::from(Arc::new(certified.server()?)))
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
                Some(acceptor) => echo(acceptor.accept(stream).await?).await,
                None => echo(stream).await,
            }
        });
    }
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
        stream.flush().await?;
    }
}

/// Opens a connection for each caller.
#[derive(Clone)]
pub struct Dial {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

pub async fn plain(address: SocketAddr) -> Result<Dial> {
    Ok(Dial { address, tls: None })
}

pub async fn tls(address: SocketAddr) -> Result<Dial> {
    Ok(Dial { address, tls: Some(TlsConnector::from(Arc::new(kit::tls::client(address)?))) })
}

/// Either kind of stream.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection for Dial {
    type Caller = PingPong;

    async fn caller(&self, size: usize) -> Result<PingPong> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.connect(kit::tls::HOST.try_into()?, stream).await?),
            None => Box::new(stream),
        };
        let request = crate::request(size);
        Ok(PingPong { stream, reply: vec![0; request.len()], request })
    }
}

pub struct PingPong {
    stream: Box<dyn Stream>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Caller for PingPong {
    async fn call(&mut self, id: u64) -> Result<Echo> {
        let Self { stream, request, reply } = self;
        crate::stamp(request, id);
        if request.len() < LARGE {
            stream.write_all(request).await?;
            stream.flush().await?;
            stream.read_exact(reply).await?;
        } else {
            let (mut read, mut write) = tokio::io::split(stream);
            let send = async {
                write.write_all(request).await?;
                write.flush().await
            };
            tokio::try_join!(send, read.read_exact(reply))?;
        }
        Ok(crate::echo(*reply.first_chunk().context("a short reply")?, reply.len()))
    }
}
