//! connectrpc as a peer: gRPC with and without TLS, and its own protocol.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use buffa::view::OwnedView;
use bytes::Bytes;
use connectrpc::client::{ClientConfig, Http2Connection, SharedHttp2Connection};
use connectrpc::{
    ConnectRpcService, HasMessageView, Limits, Protocol, RequestContext, Response, Server,
    ServiceRequest, ServiceResult, ServiceStream,
};
use futures_util::stream;

use generated::echo::{EchoService, EchoServiceClient, EchoServiceServer, ItemsRequest, Message};

#[allow(missing_docs, unused_qualifications, clippy::all)]
mod generated {
    connectrpc::include_generated!();
}

/// Flow control of HTTP/2, in both directions: a body of several MiB in one flight. The client of hyper
/// begins with 64 KiB.
const STREAM_WINDOW: u32 = 16 << 20;
/// Of the whole connection: four such bodies.
const WINDOW: u32 = 64 << 20;
/// Streams at once, each of which is a call: hyper's default of 200 is less than the cells have in flight.
const STREAMS: u32 = 4096;

struct Echoes;

/// The request as it came, which is what its docs advise for handlers that pass it on: decoded, but with
/// nothing copied.
type Same = OwnedView<<Message as HasMessageView>::View<'static>>;

// The trait has streams of anything that encodes to the message; the type says what it is.
#[allow(refining_impl_trait)]
impl EchoService for Echoes {
    async fn echo(
        &self,
        _: RequestContext,
        message: ServiceRequest<'_, Message>,
    ) -> ServiceResult<Same> {
        Response::ok(message.to_owned_view())
    }

    async fn hold(
        &self,
        _: RequestContext,
        _: ServiceRequest<'_, Message>,
    ) -> ServiceResult<Message> {
        std::future::pending().await
    }

    async fn items(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, ItemsRequest>,
    ) -> ServiceResult<ServiceStream<Message>> {
        let payload = kit::payload(request.size as usize);
        let items = (0..request.count).map(move |id| Ok(message(id, payload.clone())));
        Response::stream_ok(stream::iter(items))
    }
}

struct Connect;

impl kit::Peer for Connect {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("grpc-tls", "gRPC over TLS"),
        ("grpc", "gRPC over plain TCP"),
        ("connect", "the Connect protocol on HTTP/2 over plain TCP"),
    ];

    async fn serve(server: kit::Server) -> Result<()> {
        let mut bound = Server::bind("127.0.0.1:0")
            .await
            .map_err(anyhow::Error::from_boxed)?
            .with_http2_initial_stream_window_size(STREAM_WINDOW)
            .with_http2_initial_connection_window_size(WINDOW)
            .with_max_concurrent_streams(STREAMS);
        let address = bound.local_addr()?;
        if tls(&server.variant) {
            let certified = kit::tls::Certified::new()?;
            let mut config = certified.server()?;
            config.alpn_protocols = vec![b"h2".to_vec()];
            certified.publish(address)?;
            bound = bound.with_tls(Arc::new(config));
        }
        server.ready(address)?;
        let limits = Limits::default()
            .with_max_request_body_size(kit::LARGEST)
            .with_max_message_size(kit::LARGEST);
        // The generated dispatcher, since the router goes through a table and boxes each call.
        let service = ConnectRpcService::new(EchoServiceServer::new(Echoes)).with_limits(limits);
        bound.serve_with_service(service).await.map_err(anyhow::Error::from_boxed)
    }

    async fn client(client: kit::Client) -> Result<()> {
        client.drive(|| connect(&client.variant, client.address)).await
    }
}

fn tls(variant: &str) -> bool {
    variant == "grpc-tls"
}

async fn connect(variant: &str, address: SocketAddr) -> Result<Connection> {
    let builder = Http2Connection::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW);
    let scheme = if tls(variant) { "https" } else { "http" };
    let uri: http::Uri = format!("{scheme}://{}:{}", kit::tls::HOST, address.port()).parse()?;
    let connection = match tls(variant) {
        true => builder.connect_tls(uri.clone(), Arc::new(kit::tls::client(address)?)).await?,
        false => builder.connect_plaintext(uri.clone()).await?,
    };
    let protocol = if variant == "connect" { Protocol::Connect } else { Protocol::Grpc };
    let config =
        ClientConfig::new(uri).with_protocol(protocol).with_default_max_message_size(kit::LARGEST);
    // As many calls as its guide has wait for the connection at once.
    Ok(Connection(EchoServiceClient::new(connection.shared(1024), config)))
}

#[derive(Clone)]
struct Connection(EchoServiceClient<SharedHttp2Connection>);

impl kit::Connection for Connection {
    type Caller = Caller;

    async fn caller(&self, size: usize) -> Result<Caller> {
        Ok(Caller { client: self.0.clone(), payload: kit::payload(size) })
    }

    async fn items(&self, count: u64, size: usize) -> Result<u64> {
        let request = ItemsRequest { count, size: size as u64, ..Default::default() };
        let mut items = self.0.items(request).await?;
        let mut came = 0;
        while let Some(item) = items.message().await? {
            came += u64::from(item.view().payload.len() == size);
        }
        Ok(came)
    }

    async fn hold(&self) -> Result<()> {
        self.0.hold(message(0, Bytes::new())).await?;
        Ok(())
    }
}

struct Caller {
    client: EchoServiceClient<SharedHttp2Connection>,
    payload: Bytes,
}

impl kit::Caller for Caller {
    async fn call(&mut self, id: u64) -> Result<kit::Echo> {
        let reply = self.client.echo(message(id, self.payload.clone())).await?;
        // The view, which borrows from the body that came.
        let reply = reply.view();
        Ok(kit::Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn message(id: u64, payload: Bytes) -> Message {
    Message { id, name: kit::NAME.into(), payload, ..Default::default() }
}

fn main() -> ExitCode {
    kit::main::<Connect>()
}
