//! The server.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use anyhow::Result;
use futures_util::Stream;
use kit::Server;
use kit::tls::Certified;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};

use pb::bench_server::{Bench, BenchServer};
use pb::{Empty, Many, Msg};

/// What prost and tonic generate.
pub mod pb {
    tonic::include_proto!("bench");
}

struct Service;

#[tonic::async_trait]
impl Bench for Service {
    async fn echo(&self, request: Request<Msg>) -> Result<Response<Msg>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type ItemsStream = Pin<Box<dyn Stream<Item = Result<Msg, Status>> + Send>>;

    async fn items(&self, request: Request<Many>) -> Result<Response<Self::ItemsStream>, Status> {
        let Many { count, size } = request.into_inner();
        let payload = kit::payload(size as usize);
        // Ready items: tonic batches them into frames at its best.
        let items = futures_util::stream::iter(
            (0..count)
                .map(move |id| Ok(Msg { id, name: kit::NAME.into(), payload: payload.clone() })),
        );
        Ok(Response::new(Box::pin(items)))
    }

    async fn hold(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        std::future::pending().await
    }
}

/// Serves one variant.
pub async fn serve(server: Server) -> Result<()> {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let incoming = incoming.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    let mut builder = tonic::transport::Server::builder();
    if server.variant.ends_with("-wide") {
        builder = builder
            .initial_stream_window_size(super::STREAM_WINDOW)
            .initial_connection_window_size(super::WINDOW)
            .max_frame_size(1 << 20);
    }
    if server.variant.starts_with("tls") {
        let certified = Certified::new()?;
        certified.publish(address)?;
        let (certificate, key) = certified.pem();
        let identity = Identity::from_pem(certificate, key);
        builder = builder.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    let service = BenchServer::new(Service).max_decoding_message_size(kit::LARGEST);
    server.ready(address)?;
    builder.add_service(service).serve_with_incoming(incoming).await?;
    Ok(())
}
