//! A peer with a valid certificate that does not keep to the protocol. Whatever it sends, the process
//! lives, others go on being answered, and it gets an error or a close.

use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use micro_core::codec::{Encoding, decode, encode};
use micro_core::handler::Target;
use micro_core::id::Id;
use micro_core::identity::{DevCa, IdentitySource, tls};
use micro_core::transport::quic::Quic;
use micro_core::transport::{Address, Connection, Listener, Request, Transport};
use micro_core::{Metadata, Outcome};
use micro_tests::lab::{LONG, Lab};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, ReadExactError, RecvStream, SendStream, VarInt};
use tokio::time::{Instant, timeout};

use crate::conformance::transport::Directory;

mod tcp;

/// A server under attack, and somebody who only wants to be answered.
struct Victim {
    lab: Lab,
    listener: Box<dyn Listener>,
    honest: Arc<dyn Connection>,
    source: Arc<dyn IdentitySource>,
    _directory: Directory,
}

impl Victim {
    async fn new() -> Self {
        let directory = Directory::new();
        let ca = DevCa::open(&directory.0).expect("a directory of our own");
        let source: Arc<dyn IdentitySource> = Arc::new(ca);
        let quic = Quic::new(Arc::clone(&source), "honest", vec!["lab".into()]);
        let lab = Lab::default();
        let address = Address::new("quic", "127.0.0.1:0");
        let listener = quic.listen(&address, Arc::new(lab.server())).await.expect("listens");
        let honest = quic.connect(&listener.address(), "lab").await.expect("connects");
        let victim = Self { lab, listener, honest, source, _directory: directory };
        victim.still_answers().await;
        victim
    }

    fn address(&self) -> SocketAddr {
        self.listener.address().authority().parse().expect("an address")
    }

    async fn echo(&self) -> Outcome {
        let request = Request {
            target: Target::new("lab", "echo"),
            encoding: Encoding::MessagePack,
            now: Instant::now(),
            deadline: Instant::now() + LONG,
            correlation: Id::random(),
            repeated: false,
            metadata: Metadata::new(),
            body: "honest".into(),
        };
        self.honest.call(&request).await
    }

    async fn still_answers(&self) {
        assert_eq!(self.echo().await.expect("answers").body, "honest");
    }

    fn tls(&self) -> rustls::ClientConfig {
        tls::client_config(Arc::clone(&self.source), "hostile", "lab").expect("an identity")
    }

    async fn connect(
        &self,
        tls: rustls::ClientConfig,
    ) -> Result<(Endpoint, quinn::Connection), ConnectionError> {
        let crypto = QuicClientConfig::try_from(tls).expect("TLS 1.3");
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = quinn::TransportConfig::default();
        // What it leaves unread stays with the victim.
        transport.receive_window(VarInt::from_u32(1 << 20));
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
        let name = tls::server_name("lab");
        let connecting = endpoint.connect_with(config, self.address(), &name).expect("a name");
        Ok((endpoint, connecting.await?))
    }

    /// A connection whose lane is open.
    async fn raw(&self) -> Raw {
        let (endpoint, connection) = self.connect(self.tls()).await.expect("connects");
        let (mut send, receive) = connection.open_bi().await.expect("a stream");
        send.write_all(&settings(1)).await.expect("writes");
        Raw { connection, send, receive, _endpoint: endpoint }
    }

    /// Asserts that a peer that sends this on its lane is closed, and nobody else.
    async fn closes(&self, bytes: &[u8]) {
        let mut raw = self.raw().await;
        // The close may come while it is still written.
        let _ = raw.send.write_all(bytes).await;
        raw.is_closed().await;
        self.still_answers().await;
    }
}

/// A peer that sends what it likes.
struct Raw {
    connection: quinn::Connection,
    send: SendStream,
    receive: RecvStream,
    _endpoint: Endpoint,
}

impl Raw {
    async fn write(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.expect("writes");
    }

    /// The next frame of the lane, without its length.
    async fn frame(&mut self) -> Vec<u8> {
        timeout(LONG, frame_of(&mut self.receive)).await.expect("comes").expect("a frame")
    }

    /// The next reply: whose, its code, and what is behind it.
    async fn reply(&mut self) -> (u64, u8, Vec<u8>) {
        loop {
            let frame = self.frame().await;
            if frame[0] == REPLY {
                let id = u64::from_le_bytes(frame[1..9].try_into().expect("eight bytes"));
                return (id, frame[9], frame[10..].to_vec());
            }
        }
    }

    async fn is_closed(&self) {
        let reason = timeout(LONG, self.connection.closed()).await.expect("is closed");
        let ConnectionError::ApplicationClosed(close) = reason else { panic!("{reason}") };
        assert_eq!(close.error_code, VarInt::from_u32(1), "{close}");
    }
}

async fn frame_of(receive: &mut RecvStream) -> Result<Vec<u8>, ReadExactError> {
    let mut length = [0; 4];
    receive.read_exact(&mut length).await?;
    let mut frame = vec![0; u32::from_le_bytes(length) as usize];
    receive.read_exact(&mut frame).await?;
    Ok(frame)
}

// The frames, written as the specification says and not with the code under test.

const REPLY: u8 = 3;

fn frame(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let fields = fields.concat();
    let length = (1 + fields.len() as u32).to_le_bytes();
    [&length[..], &[kind], &fields].concat()
}

fn settings(version: u32) -> Vec<u8> {
    frame(0, &[&1u16.to_le_bytes(), &version.to_le_bytes()])
}

fn name(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn route(id: u32, service: &str, method: &str) -> Vec<u8> {
    frame(1, &[&id.to_le_bytes(), &[0; 8], &name(service), &name(method)])
}

/// No flags, MessagePack, the time left, and the metadata.
fn head(millis: u32, metadata: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &millis.to_le_bytes(), metadata].concat()
}

fn call(id: u64, route: u32, body: &[u8]) -> Vec<u8> {
    frame(2, &[&id.to_le_bytes(), &route.to_le_bytes(), &head(20_000, &[0]), body])
}

fn cancel(id: u64) -> Vec<u8> {
    frame(4, &[&id.to_le_bytes()])
}

fn open(kind: u8, method: &str, body: &[u8]) -> Vec<u8> {
    frame(16, &[&[kind], &name("lab"), &name(method), &head(20_000, &[0]), body])
}

fn packed(number: usize) -> Vec<u8> {
    encode(Encoding::MessagePack, &number).expect("encodes").to_vec()
}

/// Runs a case within a time in which everything must be over.
fn case(run: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(3 * LONG, run).await.expect("the case hangs") });
    runtime.shutdown_background();
}

#[test]
fn frames_of_a_wrong_length_close_the_connection() {
    case(async {
        let victim = Victim::new().await;
        victim.closes(&[0, 0, 0, 0, 1]).await;
        victim.closes(&[0xff, 0xff, 0xff, 0xff, 1]).await;
        victim.closes(&(64 * 1024 + 1u32).to_le_bytes()).await;
    });
}

#[test]
fn frames_that_end_too_early_close_the_connection() {
    case(async {
        let victim = Victim::new().await;
        for whole in [settings(1), route(1, "lab", "echo"), call(1, 1, b""), cancel(1)] {
            for end in [6, whole.len() / 2, whole.len() - 1] {
                let mut cut = whole[..end.max(6)].to_vec();
                let length = cut.len() as u32 - 4;
                cut[..4].copy_from_slice(&length.to_le_bytes());
                victim.closes(&cut).await;
            }
        }
    });
}

#[test]
fn frames_and_settings_of_a_newer_version_are_skipped() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        let newer = [99u16.to_le_bytes(), 1u16.to_le_bytes()];
        raw.write(&frame(0, &[&newer[0], &[7; 4], &newer[1], &1u32.to_le_bytes()])).await;
        raw.write(&frame(200, &[b"from the future"])).await;
        raw.write(&route(1, "lab", "echo")).await;
        raw.write(&frame(99, &[])).await;
        raw.write(&call(7, 1, b"hello")).await;
        assert_eq!(raw.reply().await, (7, 0, b"\0hello".to_vec()));
        let (mut send, mut receive) = raw.connection.open_bi().await.expect("a stream");
        let frames = [frame(200, &[b"?"]), open(0, "echo", b"own")].concat();
        send.write_all(&frames).await.expect("writes");
        let end = timeout(LONG, frame_of(&mut receive)).await.expect("ends").expect("a frame");
        assert_eq!(end, b"\x12\0\0own");
    });
}

#[test]
fn another_version_closes_the_connection() {
    case(async {
        let victim = Victim::new().await;
        victim.closes(&settings(2)).await;
        victim.closes(&settings(0)).await;
    });
}

#[test]
fn a_route_that_was_never_announced_closes_the_connection() {
    case(async {
        let victim = Victim::new().await;
        victim.closes(&call(1, 1, b"")).await;
    });
}

#[test]
fn too_many_routes_close_the_connection() {
    case(async {
        let victim = Victim::new().await;
        let routes: Vec<u8> = (0..4_096).flat_map(|id| route(id, "lab", "nothing")).collect();
        let mut raw = victim.raw().await;
        raw.write(&routes).await;
        raw.write(&call(1, 4_095, b"")).await;
        assert_eq!(raw.reply().await.1, 12, "unimplemented");
        raw.write(&route(4_096, "lab", "echo")).await;
        raw.is_closed().await;
        victim.still_answers().await;
    });
}

#[test]
fn kinds_that_a_client_may_not_send_close_the_connection() {
    case(async {
        let victim = Victim::new().await;
        victim.closes(&frame(REPLY, &[&[0; 8], &[0, 0]])).await;
        victim.closes(&frame(5, &[&[0; 16]])).await;
        victim.closes(&open(0, "echo", b"")).await;
        victim.closes(&frame(17, &[b"item"])).await;
        victim.closes(&frame(18, &[&[0, 0]])).await;
    });
}

#[test]
fn metadata_that_is_none_closes_the_connection() {
    case(async {
        let victim = Victim::new().await;
        let many = (0..65).map(|n| [name(&format!("k{n}")), vec![0, 0]].concat());
        let long = [&name("k")[..], &4_097u16.to_le_bytes(), &[b'x'; 4_097]].concat();
        let mut full = vec![5];
        for n in 0..5 {
            full.extend(
                [&name(&format!("k{n}"))[..], &4_000u16.to_le_bytes(), &[b'x'; 4_000]].concat(),
            );
        }
        for metadata in [
            [&[1][..], &name("UPPER"), &[0, 0]].concat(),
            [&[1][..], &name(""), &[0, 0]].concat(),
            [&[1][..], &[1, 0xff], &[0, 0]].concat(),
            [&[1][..], &name("k"), &[1, 0, 0xff]].concat(),
            [vec![65], many.flatten().collect()].concat(),
            [vec![1], long].concat(),
            full,
            vec![255],
        ] {
            let call = frame(2, &[&[0; 8], &[0; 4], &head(1_000, &metadata)]);
            victim.closes(&[route(0, "lab", "echo"), call].concat()).await;
        }
    });
}

#[test]
fn deep_nesting_and_unknown_encodings_are_errors_of_their_calls() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "fill")).await;
        let nests = [&[0x91][..], &[0x81, 0xa1, b'k'], &[0xdd, 0, 0, 0, 1], &[0xc7, 0xff]];
        for (id, nest) in (0..).zip(nests) {
            raw.write(&call(id, 1, &nest.repeat(30_000 / nest.len()))).await;
            assert_eq!(raw.reply().await.1, 3, "invalid argument");
        }
        let mut unknown = call(9, 1, b"");
        unknown[18] = 77;
        raw.write(&unknown).await;
        assert_eq!(raw.reply().await.1, 3, "invalid argument");
        let deep = open(0, "fill", &[0x91].repeat(1 << 20));
        let (mut send, mut receive) = raw.connection.open_bi().await.expect("a stream");
        send.write_all(&deep).await.expect("writes");
        let end = timeout(LONG, frame_of(&mut receive)).await.expect("ends").expect("a frame");
        assert_eq!(end[..2], [18, 3]);
        victim.still_answers().await;
    });
}

#[test]
fn a_deadline_is_cut_to_the_longest() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "left")).await;
        let head = head(u32::MAX, &[0]);
        raw.write(&frame(2, &[&1u64.to_le_bytes(), &1u32.to_le_bytes(), &head])).await;
        let (_, code, rest) = raw.reply().await;
        assert_eq!(code, 0);
        let left: u64 = decode(Encoding::MessagePack, &rest[1..]).expect("a number");
        assert!((3_000_000..=3_600_000).contains(&left), "{left}");
    });
}

#[test]
fn calls_that_wait_end_at_their_deadlines_whether_or_not_they_are_cancelled() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "hold")).await;
        for (id, millis) in [(1u64, 300), (2, 100), (3, 3_600_000), (4, 100)] {
            let fields = [&id.to_le_bytes()[..], &1u32.to_le_bytes(), &head(millis, &[0])];
            raw.write(&frame(2, &fields)).await;
        }
        let mut late = Vec::new();
        for _ in 0..3 {
            let (id, code, _) = raw.reply().await;
            assert_eq!(code, 4, "deadline exceeded");
            late.push(id);
        }
        assert_eq!(late.pop(), Some(1));
        late.sort_unstable();
        assert_eq!(late, [2, 4]);
        victim.lab.until(|counts| counts.dropped == 3).await;
        // And once more, after a time without any sweep.
        raw.write(&frame(4, &[&3u64.to_le_bytes()])).await;
        victim.lab.until(|counts| counts.dropped == 4).await;
        let again = [&5u64.to_le_bytes()[..], &1u32.to_le_bytes(), &head(100, &[0])];
        raw.write(&frame(2, &again)).await;
        assert_eq!(raw.reply().await.0, 5);
    });
}

#[test]
fn one_id_for_two_calls_closes_the_connection() {
    case(async {
        let victim = Victim::new().await;
        let calls = [route(1, "lab", "hold"), call(1, 1, b""), call(1, 1, b"")].concat();
        victim.closes(&calls).await;
        victim.lab.until(|counts| counts.dropped == counts.started - 2).await;
    });
}

#[test]
fn a_million_cancels_of_nothing_hold_nobody_up() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "echo")).await;
        let cancels: Vec<u8> = (0..10_000).flat_map(cancel).collect();
        let flood = async {
            for _ in 0..100 {
                raw.write(&cancels).await;
            }
            raw.write(&call(1, 1, b"done")).await;
            raw.reply().await
        };
        let mut flood = std::pin::pin!(flood);
        let reply = loop {
            let began = Instant::now();
            tokio::select! {
                reply = &mut flood => break reply,
                outcome = victim.echo() => assert!(outcome.is_ok()),
            }
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        };
        assert_eq!(reply, (1, 0, b"\0done".to_vec()));
    });
}

#[test]
fn silence_is_cut_off() {
    case(async {
        let victim = Victim::new().await;
        let raw = victim.raw().await;
        let mut streams = Vec::new();
        for n in 0..99 {
            let (mut send, receive) = raw.connection.open_bi().await.expect("a stream");
            let begun = open(0, "echo", b"");
            send.write_all(&begun[..1 + n % (begun.len() - 1)]).await.expect("writes");
            streams.push((send, receive));
        }
        let mut half = victim.raw().await;
        half.write(&call(1, 1, b"")[..9]).await;
        let (_endpoint, laneless) = victim.connect(victim.tls()).await.expect("connects");
        for (_, receive) in &mut streams {
            let reset = timeout(LONG, receive.received_reset()).await.expect("is cut");
            assert_eq!(reset.expect("connected"), Some(VarInt::from_u32(1)));
        }
        half.is_closed().await;
        assert!(timeout(LONG, laneless.closed()).await.is_ok());
        assert!(raw.connection.close_reason().is_none());
        assert_eq!(victim.lab.counts().started, 1);
        victim.still_answers().await;
    });
}

#[test]
fn own_streams_with_nonsense_are_cut() {
    case(async {
        let victim = Victim::new().await;
        let raw = victim.raw().await;
        for bytes in [
            vec![0, 0, 0, 0, 1],
            vec![0xff; 5],
            frame(17, &[b"an item before its call"]),
            frame(18, &[&[0, 0]]),
            settings(1),
            open(0, "echo", b"")[..20].to_vec(),
        ] {
            let (mut send, mut receive) = raw.connection.open_bi().await.expect("a stream");
            send.write_all(&bytes).await.expect("writes");
            let _ = send.finish();
            let reset = timeout(LONG, receive.received_reset()).await.expect("is cut");
            assert_eq!(reset.expect("connected"), Some(VarInt::from_u32(1)), "{bytes:?}");
        }
        for (kind, method) in [(9, "echo"), (1, "echo"), (0, "count"), (2, "chat")] {
            let (mut send, mut receive) = raw.connection.open_bi().await.expect("a stream");
            send.write_all(&open(kind, method, b"")).await.expect("writes");
            let end = timeout(LONG, frame_of(&mut receive)).await.expect("ends").expect("a frame");
            assert_eq!(end[..2], [18, 3], "invalid argument");
        }
        victim.still_answers().await;
    });
}

#[test]
fn a_flood_of_streams_without_a_call_closes_the_connection() {
    case(async {
        let victim = Victim::new().await;
        let raw = victim.raw().await;
        let mut opened = 0;
        while let Ok((mut send, _)) = raw.connection.open_bi().await {
            let _ = send.write_all(&[1]).await;
            let _ = send.reset(VarInt::from_u32(2));
            opened += 1;
            assert!(opened < 5_000, "never closed");
        }
        raw.is_closed().await;
        victim.still_answers().await;
    });
}

/// Only time can show that nothing happens.
async fn never(victim: &Victim, is_true: impl Fn(usize) -> bool) {
    let reached = victim.lab.until(|counts| is_true(counts.started));
    let reached = timeout(Duration::from_millis(300), reached).await;
    assert!(reached.is_err(), "{:?}", victim.lab.counts());
    victim.still_answers().await;
}

#[test]
fn who_does_not_read_small_replies_is_not_read_from() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "fill")).await;
        let calls: Vec<u8> = (0..20_000).flat_map(|id| call(id, 1, &packed(30_000))).collect();
        tokio::select! {
            // 30 MB of replies, where 1 MiB may wait and the windows hold some more.
            () = never(&victim, |started| started > 1_000) => {}
            result = raw.send.write_all(&calls) => result.expect("writes"),
        }
        assert!(raw.connection.close_reason().is_none());
    });
}

#[test]
fn who_does_not_read_large_replies_is_not_read_from() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "fill")).await;
        let calls: Vec<u8> = (0..10_000).flat_map(|id| call(id, 1, &packed(1 << 20))).collect();
        raw.write(&calls).await;
        // 16 MiB stop the reading; what was read before then, at most two reads of some thousand calls,
        // has begun or was refused.
        never(&victim, |started| started > 4_000).await;
    });
}

#[test]
fn who_leaves_most_large_replies_unread_is_closed() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "hold_fill")).await;
        let calls: Vec<u8> = (0..400).flat_map(|id| call(id, 1, &packed(1 << 20))).collect();
        raw.write(&calls).await;
        victim.lab.until(|counts| counts.started == 401).await;
        victim.lab.release(400);
        // The close itself may be lost, as it leaves in the middle of all the rest.
        assert!(timeout(LONG, raw.connection.closed()).await.is_ok(), "still open");
        victim.still_answers().await;
    });
}

#[test]
fn calls_that_wait_are_bounded_for_each_connection() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.write(&route(1, "lab", "hold")).await;
        let calls: Vec<u8> = (0..3_000).flat_map(|id| call(id, 1, b"")).collect();
        raw.write(&calls).await;
        for _ in 0..3_000 - 1_024 {
            assert_eq!(raw.reply().await.1, 8, "resource exhausted");
        }
        assert_eq!(victim.lab.counts().started, 1 + 1_024);
        victim.still_answers().await;
        drop(raw);
        victim.lab.until(|counts| counts.dropped == 1_024).await;
    });
}

#[test]
fn a_lane_that_is_not_wanted_back_closes_the_connection() {
    case(async {
        let victim = Victim::new().await;
        let mut raw = victim.raw().await;
        raw.receive.stop(VarInt::from_u32(0)).expect("stops");
        raw.write(&[route(1, "lab", "echo"), call(1, 1, b"")].concat()).await;
        raw.is_closed().await;
        victim.still_answers().await;
    });
}

#[test]
fn nobody_connects_without_a_certificate() {
    #[derive(Debug)]
    struct Nothing;

    impl rustls::client::ResolvesClientCert for Nothing {
        fn resolve(
            &self,
            _: &[&[u8]],
            _: &[rustls::SignatureScheme],
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            None
        }

        fn has_certs(&self) -> bool {
            false
        }
    }

    case(async {
        let victim = Victim::new().await;
        let mut tls = victim.tls();
        tls.client_auth_cert_resolver = Arc::new(Nothing);
        let error = match victim.connect(tls).await {
            // The server looks at the certificate when the client thinks that all is well.
            Ok((_endpoint, connection)) => {
                timeout(LONG, connection.closed()).await.expect("is closed")
            }
            Err(error) => error,
        };
        assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error}");
        assert_eq!(victim.lab.counts().started, 1);
        victim.still_answers().await;
    });
}

#[test]
fn nobody_connects_with_another_protocol() {
    case(async {
        let victim = Victim::new().await;
        for protocols in [vec![b"h3".to_vec()], vec![b"micro/2".to_vec()], vec![]] {
            let mut tls = victim.tls();
            tls.alpn_protocols = protocols;
            let error = victim.connect(tls).await.map(drop).expect_err("refused");
            assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error}");
        }
        victim.still_answers().await;
    });
}

#[test]
fn packets_of_noise_are_ignored() {
    case(async {
        let victim = Victim::new().await;
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        let mut noise = 0x9E37_79B9_7F4A_7C15u64;
        for n in 0..5_000usize {
            let packet: Vec<u8> = (0..n % 1_500)
                .map(|_| {
                    noise ^= noise << 13;
                    noise ^= noise >> 7;
                    noise ^= noise << 17;
                    noise as u8
                })
                .collect();
            // A full socket buffer is what a flood is like.
            let _ = socket.send_to(&packet, victim.address());
            if n % 500 == 0 {
                victim.still_answers().await;
            }
        }
        victim.still_answers().await;
    });
}
