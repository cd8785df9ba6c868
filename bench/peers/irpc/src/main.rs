//! irpc as a peer: a stream of QUIC for each call, postcard as the codec (it has no other).

mod endpoint;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use irpc::channel::{mpsc, oneshot};
use irpc::rpc::{self, RemoteService};
use irpc::{Client, WithChannels, rpc_requests};
use serde::{Deserialize, Serialize};

#[rpc_requests(message = EchoMessage, no_spans)]
#[derive(Debug, Deserialize, Serialize)]
enum EchoProtocol {
    #[rpc(tx = oneshot::Sender<Message>)]
    #[wrap(Echo)]
    Echo(Message),
    #[rpc(tx = oneshot::Sender<Message>)]
    #[wrap(Hold)]
    Hold(Message),
    #[rpc(tx = mpsc::Sender<Message>)]
    Items(Items),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Message {
    id: u64,
    name: String,
    // As one run of bytes; a `Vec<u8>` without further ado would be a sequence of numbers.
    payload: Bytes,
}

#[derive(Debug, Deserialize, Serialize)]
struct Items {
    count: u64,
    size: usize,
}

struct Irpc;

impl kit::Peer for Irpc {
    const VARIANTS: &'static [(&'static str, &'static str)] = &[
        ("quic", "as its users get it, but for windows and socket buffers; packets of 1452 bytes"),
        (
            "quic-6500",
            "the same with packets of up to 6500 bytes, which loopback lets discovery reach",
        ),
    ];

    async fn serve(server: kit::Server) -> Result<()> {
        let certified = kit::tls::Certified::new()?;
        let endpoint = endpoint::server(&certified, mtu(&server.variant))?;
        certified.publish(endpoint.local_addr()?)?;
        server.ready(endpoint.local_addr()?)?;
        rpc::listen(endpoint, handler()).await;
        Ok(())
    }

    async fn client(client: kit::Client) -> Result<()> {
        let mtu = mtu(&client.variant);
        client.drive(|| connect(client.address, mtu)).await
    }
}

fn mtu(variant: &str) -> u16 {
    if variant == "quic-6500" { 6500 } else { 1452 }
}

/// Answers in place. Its examples hand each request to an actor through a channel; that is a task switch
/// more for nothing here.
fn handler() -> rpc::Handler<EchoProtocol> {
    Arc::new(|request, rx, tx| {
        Box::pin(async move {
            match request.with_remote_channels(rx, tx) {
                EchoMessage::Echo(WithChannels { inner: Echo(message), tx, .. }) => {
                    // A task for each call: irpc reads the next request only when this one is done, and
                    // replies of 64 KiB and more take a while to be written.
                    tokio::spawn(tx.send(message));
                }
                EchoMessage::Hold(held) => {
                    tokio::spawn(async {
                        let _held = held;
                        std::future::pending::<()>().await
                    });
                }
                EchoMessage::Items(WithChannels { inner, tx, .. }) => {
                    tokio::spawn(items(inner, tx));
                }
            }
            Ok(())
        })
    })
}

async fn items(Items { count, size }: Items, tx: mpsc::Sender<Message>) {
    let payload = kit::payload(size);
    for id in 0..count {
        let message = Message { id, name: kit::NAME.into(), payload: payload.clone() };
        if tx.send(message).await.is_err() {
            return;
        }
    }
}

async fn connect(address: SocketAddr, mtu: u16) -> Result<Connection> {
    let endpoint = endpoint::client(address, mtu)?;
    // Connected here, since the lazy client of `Client::noq` takes a lock for each call.
    let connection = endpoint.connect(address, kit::tls::HOST)?.await?;
    Ok(Connection(Client::boxed(connection)))
}

#[derive(Clone)]
struct Connection(Client<EchoProtocol>);

impl kit::Connection for Connection {
    type Caller = Caller;

    async fn caller(&self, size: usize) -> Result<Caller> {
        Ok(Caller { client: self.0.clone(), payload: kit::payload(size) })
    }

    async fn items(&self, count: u64, size: usize) -> Result<u64> {
        let mut items = self.0.server_streaming(Items { count, size }, 16).await?;
        let mut came = 0;
        while let Some(item) = items.recv().await? {
            came += u64::from(item.payload.len() == size);
        }
        Ok(came)
    }

    async fn hold(&self) -> Result<()> {
        let message = Message { id: 0, name: kit::NAME.into(), payload: Bytes::new() };
        self.0.rpc(Hold(message)).await?;
        Ok(())
    }
}

struct Caller {
    client: Client<EchoProtocol>,
    payload: Bytes,
}

impl kit::Caller for Caller {
    async fn call(&mut self, id: u64) -> Result<kit::Echo> {
        let message = Message { id, name: kit::NAME.into(), payload: self.payload.clone() };
        let reply = self.client.rpc(Echo(message)).await?;
        Ok(kit::Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn main() -> ExitCode {
    kit::main::<Irpc>()
}
