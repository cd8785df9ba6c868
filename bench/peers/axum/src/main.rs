//! axum as a peer: JSON over HTTP/1.1 in plain text, what most services speak today.
//!
//! HTTP/1.1 has one call at a time on a connection, so that each caller has its own. The client is hyper's
//! own connection: the cheapest that there is, without pool, redirects or cookies.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

#[derive(Deserialize, Serialize)]
struct Message {
    id: u64,
    name: String,
    #[serde(with = "base64_text")]
    payload: Bytes,
}

/// Bytes in JSON: base64, the usual way; an array of numbers would be three times as long.
mod base64_text {
    use std::borrow::Cow;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Bytes, D::Error> {
        // Borrowed from the body where the text has no escapes, and base64 has none.
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        let Text(text) = Text::deserialize(from)?;
        BASE64_STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(D::Error::custom)
    }
}

struct Axum;

impl kit::Peer for Axum {
    const VARIANTS: &'static [(&'static str, &'static str)] =
        &[("json", "JSON over HTTP/1.1, plain TCP, one connection that is kept for each caller")];

    async fn serve(server: kit::Server) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        server.ready(listener.local_addr()?)?;
        let routes = Router::new()
            .route("/echo", post(async |Json(message): Json<Message>| Json(message)))
            .layer(DefaultBodyLimit::max(kit::LARGEST));
        // axum leaves Nagle on, which costs 40 ms where head and body are two segments.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        Ok(axum::serve(listener, routes).await?)
    }

    async fn client(client: kit::Client) -> Result<()> {
        client.drive(|| async move { Ok(Connection(client.address)) }).await
    }
}

#[derive(Clone)]
struct Connection(SocketAddr);

impl kit::Connection for Connection {
    type Caller = Caller;

    async fn caller(&self, size: usize) -> Result<Caller> {
        let socket = TcpStream::connect(self.0).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(Caller { sender, host: self.0.to_string(), payload: kit::payload(size) })
    }
}

struct Caller {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    payload: Bytes,
}

impl kit::Caller for Caller {
    async fn call(&mut self, id: u64) -> Result<kit::Echo> {
        let message = Message { id, name: kit::NAME.into(), payload: self.payload.clone() };
        let request = Request::post("/echo")
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(serde_json::to_vec(&message)?))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        ensure!(response.status() == StatusCode::OK, "status {}", response.status());
        let body = response.into_body().collect().await?.to_bytes();
        let reply: Message = serde_json::from_slice(&body)?;
        Ok(kit::Echo { id: reply.id, len: reply.payload.len() })
    }
}

fn main() -> ExitCode {
    kit::main::<Axum>()
}
