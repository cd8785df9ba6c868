//! The same three handlers as the project's own hello, in tonic: server and client in one program.
//!
//! ```sh
//! cargo run                    # in one terminal; with CERT and KEY (PEM files) it speaks TLS
//! cargo run -- call Ann        # in another: "Hello, Ann!"
//! ```

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::transport::Server;
#[cfg(feature = "tls")]
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};

use hello::greeter_client::GreeterClient;
use hello::greeter_server::{Greeter, GreeterServer};
use hello::{AddReply, AddRequest, HelloReply, HelloRequest, Tick, TicksRequest};

pub mod hello {
    tonic::include_proto!("hello");
}

type Error = Box<dyn std::error::Error>;

struct MyGreeter;

#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn hello(&self, req: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = req.into_inner().name;
        Ok(Response::new(HelloReply { text: format!("Hello, {name}!") }))
    }

    async fn add(&self, req: Request<AddRequest>) -> Result<Response<AddReply>, Status> {
        let AddRequest { a, b } = req.into_inner();
        let sum =
            a.checked_add(b).ok_or_else(|| Status::out_of_range("the sum does not fit 64 bits"))?;
        Ok(Response::new(AddReply { sum }))
    }

    type TicksStream = Pin<Box<dyn Stream<Item = Result<Tick, Status>> + Send>>;

    async fn ticks(
        &self,
        req: Request<TicksRequest>,
    ) -> Result<Response<Self::TicksStream>, Status> {
        let upto = req.into_inner().upto;
        let ticks = (0..upto).map(|number| Ok(Tick { number }));
        Ok(Response::new(Box::pin(tokio_stream::iter(ticks))))
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (None, _) => serve().await,
        (Some("call"), Some(name)) => call(name).await,
        _ => Err("usage: hello-tonic [call NAME]".into()),
    }
}

async fn serve() -> Result<(), Error> {
    #[allow(unused_mut)]
    let mut server = Server::builder();
    #[cfg(feature = "tls")]
    if let (Ok(cert), Ok(key)) = (std::env::var("CERT"), std::env::var("KEY")) {
        let identity = Identity::from_pem(std::fs::read(cert)?, std::fs::read(key)?);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    let greeter = GreeterServer::new(MyGreeter);
    server.add_service(greeter).serve("127.0.0.1:50051".parse()?).await?;
    Ok(())
}

async fn call(name: String) -> Result<(), Error> {
    let mut client = connect().await?;
    let reply = client.hello(HelloRequest { name }).await?;
    println!("{}", reply.into_inner().text);
    Ok(())
}

#[cfg(feature = "tls")]
async fn connect() -> Result<GreeterClient<tonic::transport::Channel>, Error> {
    let Ok(cert) = std::env::var("CERT") else {
        return Ok(GreeterClient::connect("http://127.0.0.1:50051").await?);
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(std::fs::read(cert)?))
        .domain_name("localhost");
    let channel =
        Endpoint::from_static("https://127.0.0.1:50051").tls_config(tls)?.connect().await?;
    Ok(GreeterClient::new(channel))
}

#[cfg(not(feature = "tls"))]
async fn connect() -> Result<GreeterClient<tonic::transport::Channel>, Error> {
    Ok(GreeterClient::connect("http://127.0.0.1:50051").await?)
}
