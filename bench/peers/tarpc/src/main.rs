//! tarpc as a peer: plain TCP (its crate has no TLS) with bincode, its fastest codec.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tarpc::context;
use tarpc::serde_transport::{self, Transport};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tokio::net::{TcpListener, TcpStream};
use tokio_serde::formats::Bincode;

/// How many calls wait in the client, and how many replies in the server. The default of 100 would make
/// callers of the cells with 256 in flight wait for each other.
const PENDING: usize = 1024;

#[derive(Debug, Deserialize, Serialize)]
struct Message {
    id: u64,
    name: String,
    // As one run of bytes; a `Vec<u8>` without further ado would be a sequence of numbers.
    payload: Bytes,
}

#[tarpc::service]
trait EchoService {
    async fn echo(message: Message) -> Message;
    async fn hold(message: Message) -> Message;
}

#[derive(Clone)]
struct Echoes;

impl EchoService for Echoes {
    async fn echo(self, _: context::Context, message: Message) -> Message {
        message
    }

    async fn hold(self, _: context::Context, _: Message) -> Message {
        std::future::pending().await
    }
}

struct Tarpc;

impl kit::Peer for Tarpc {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[("tcp", "bincode over plain TCP")];

    async fn serve(server: kit::Server) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        server.ready(listener.local_addr()?)?;
        loop {
            let (socket, _) = listener.accept().await?;
            let config = tarpc::server::Config { pending_response_buffer: PENDING };
            let channel = BaseChannel::new(config, transport(socket)?);
            // A task for each call, as in tarpc's own examples.
            let calls = channel.execute(Echoes.serve());
            tokio::spawn(calls.for_each(|call| async {
                tokio::spawn(call);
            }));
        }
    }

    async fn client(client: kit::Client) -> Result<()> {
        client.drive(|| connect(client.address)).await
    }
}

async fn connect(address: SocketAddr) -> Result<Connection> {
    let mut config = tarpc::client::Config::default();
    config.pending_request_buffer = PENDING;
    // The default of 1000 would end the measurement of idle calls.
    config.max_in_flight_requests = 1 << 20;
    let transport = transport(TcpStream::connect(address).await?)?;
    Ok(Connection(EchoServiceClient::new(config, transport).spawn()))
}

fn transport<Item, Out>(
    socket: TcpStream,
) -> Result<Transport<TcpStream, Item, Out, Bincode<Item, Out>>>
where
    Item: for<'a> Deserialize<'a>,
    Out: Serialize,
{
    // Nagle would hold back the second of two small frames for up to 40 ms.
    socket.set_nodelay(true)?;
    let frames = LengthDelimitedCodec::builder().max_frame_length(kit::LARGEST).new_framed(socket);
    Ok(serde_transport::new(frames, Bincode::default()))
}

#[derive(Clone)]
struct Connection(EchoServiceClient);

impl kit::Connection for Connection {
    type Caller = Caller;

    async fn caller(&self, size: usize) -> Result<Caller> {
        Ok(Caller { client: self.0.clone(), payload: kit::payload(size) })
    }

    async fn hold(&self) -> Result<()> {
        let mut context = context::current();
        // The default of ten seconds would end it.
        context.deadline += std::time::Duration::from_secs(3600);
        let message = Message { id: 0, name: kit::NAME.into(), payload: Bytes::new() };
        self.0.hold(context, message).await?;
        Ok(())
    }
}

struct Caller {
    client: EchoServiceClient,
    payload: Bytes,
}

impl kit::Caller for Caller {
    async fn call(&mut self, id: u64) -> Result<kit::Echo> {
        let message = Message { id, name: kit::NAME.into(), payload: self.payload.clone() };
        let reply = self.client.echo(context::current(), message).await?;
        Ok(kit::Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn main() -> ExitCode {
    kit::main::<Tarpc>()
}
