//! TCP with and without TLS 1.3: one lane for everything.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use kit::Server;
use kit::tls::Certified;
use tokio::io::WriteHalf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Conn;
use crate::client::Lane;
use crate::lane::{StreamIn, StreamOut};

/// Connects without encryption.
pub async fn connect(address: SocketAddr) -> Result<Conn<StreamOut<OwnedWriteHalf>>> {
    let (read, write) = dial(address).await?.into_split();
    Ok(Conn { lane: Lane::start(StreamOut(write), StreamIn::new(read)), side: None })
}

/// Connects with TLS.
pub async fn connect_tls(
    address: SocketAddr,
) -> Result<Conn<StreamOut<WriteHalf<TlsStream<TcpStream>>>>> {
    let connector = TlsConnector::from(Arc::new(kit::tls::client(address)?));
    let stream = connector.connect(kit::tls::HOST.try_into()?, dial(address).await?).await?;
    let (read, write) = tokio::io::split(stream);
    Ok(Conn { lane: Lane::start(StreamOut(write), StreamIn::new(read)), side: None })
}

async fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A frame must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Serves connections.
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
                Some(acceptor) => {
                    let (read, write) = tokio::io::split(acceptor.accept(stream).await?);
                    crate::server::serve(StreamOut(write), StreamIn::new(read)).await
                }
                None => {
                    let (read, write) = stream.into_split();
                    crate::server::serve(StreamOut(write), StreamIn::new(read)).await
                }
            }
        });
    }
}
