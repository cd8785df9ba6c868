//! NATS as a peer: request-reply and fan-out over core NATS in plain text.
//!
//! Three processes: nats-server, which the server half starts, the server half with the service that
//! answers, and the client half. All publishers and subscribers of fan-out are in the client half, each on
//! a connection of its own.

mod broker;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::StreamExt;
use kit::{Mode, Tally};
use serde::{Deserialize, Serialize};

/// What the service listens to.
const ECHO: &str = "echo";
/// What fan-out publishes to.
const NEWS: &str = "news";
/// Messages that wait in a subscriber. It drops what is more, and nothing may be lost here.
const WAITING: usize = 1 << 22;

/// Borrowed from the message that came; copied once, into the one that goes.
#[derive(Debug, Deserialize, Serialize)]
struct Message<'a> {
    id: u64,
    name: &'a str,
    #[serde(borrow, with = "serde_bytes")]
    payload: &'a [u8],
}

impl Message<'_> {
    fn encode(&self) -> Result<Bytes> {
        // In one piece: growing to 1 MiB by doubling would copy it once more.
        let mut bytes = Vec::with_capacity(self.payload.len() + 64);
        rmp_serde::encode::write(&mut bytes, self)?;
        Ok(bytes.into())
    }
}

struct Nats;

impl kit::Peer for Nats {
    const VARIANTS: &'static [(&'static str, &'static str)] =
        &[("core", "request-reply, and fan-out, through nats-server over plain TCP")];

    async fn serve(server: kit::Server) -> Result<()> {
        let broker = broker::Broker::start().await?;
        let client = connect(broker.address).await?;
        let mut calls = client.subscribe(ECHO).await?;
        client.flush().await?;
        server.ready(broker.address)?;
        while let Some(call) = calls.next().await {
            let message: Message<'_> = rmp_serde::from_slice(&call.payload)?;
            let to = call.reply.context("a request without an address for the reply")?;
            client.publish(to, message.encode()?).await?;
        }
        Ok(())
    }

    async fn client(client: kit::Client) -> Result<()> {
        let address = client.address;
        if client.mode() != Mode::Fanout {
            return client.drive(|| async move { Ok(Connection(connect(address).await?)) }).await;
        }
        let publisher = connect(address).await?;
        client
            .fan_out(|tally| subscribe(address, tally), |n, size| publish(&publisher, n, size))
            .await
    }
}

async fn connect(address: SocketAddr) -> Result<Client> {
    let options = ConnectOptions::new()
        .subscription_capacity(WAITING)
        // The subjects are constants and those of the library itself.
        .skip_subject_validation(true)
        // Without a timeout there is no timer for each request.
        .request_timeout(None);
    Ok(options.connect(address.to_string()).await?)
}

async fn subscribe(address: SocketAddr, tally: Tally) -> Result<()> {
    let client = connect(address).await?;
    let mut news = client.subscribe(NEWS).await?;
    // Until the server has answered it does not know of the subscription.
    client.flush().await?;
    tokio::spawn(async move {
        let _open = client;
        while news.next().await.is_some() {
            tally.add(1);
        }
    });
    Ok(())
}

async fn publish(publisher: &Client, count: u64, size: usize) -> Result<()> {
    let payload = kit::payload(size);
    for _ in 0..count {
        publisher.publish(NEWS, payload.clone()).await?;
    }
    Ok(publisher.flush().await?)
}

#[derive(Clone)]
struct Connection(Client);

impl kit::Connection for Connection {
    type Caller = Caller;

    async fn caller(&self, size: usize) -> Result<Caller> {
        Ok(Caller { client: self.0.clone(), payload: kit::payload(size) })
    }
}

struct Caller {
    client: Client,
    payload: Bytes,
}

impl kit::Caller for Caller {
    async fn call(&mut self, id: u64) -> Result<kit::Echo> {
        let request = Message { id, name: kit::NAME, payload: &self.payload };
        let reply = self.client.request(ECHO, request.encode()?).await?;
        let reply: Message<'_> = rmp_serde::from_slice(&reply.payload)?;
        Ok(kit::Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn main() -> ExitCode {
    kit::main::<Nats>()
}
