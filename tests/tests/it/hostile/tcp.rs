//! The same over TCP, where a peer can also misuse the connections themselves.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use micro_core::identity::{DevCa, IdentitySource, tls};
use micro_core::transport::tcp::Tcp;
use micro_core::transport::{Address, Connection, Listener, Transport};
use micro_core::{Code, Executed};
use micro_tests::lab::{LONG, Lab};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{REPLY, call, case, frame, open, route, settings};
use crate::conformance::transport::{Directory, call_echo};

/// A server under attack over TCP, and somebody who only wants to be answered.
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
        let tcp = Tcp::new(Arc::clone(&source), "honest", vec!["lab".into()]);
        let lab = Lab::default();
        let address = Address::new("tcp", "127.0.0.1:0");
        let listener = tcp.listen(&address, Arc::new(lab.server())).await.expect("listens");
        let honest = tcp.connect(&listener.address(), "lab").await.expect("connects");
        let victim = Self { lab, listener, honest, source, _directory: directory };
        victim.still_answers().await;
        victim
    }

    fn address(&self) -> SocketAddr {
        self.listener.address().authority().parse().expect("an address")
    }

    /// Over the lane, and on a stream.
    async fn still_answers(&self) {
        for size in [6, 100_000] {
            assert_eq!(call_echo(&*self.honest, size).await.expect("answers").body.len(), size);
        }
    }

    fn tls(&self) -> ClientConfig {
        tls::client_config(Arc::clone(&self.source), "hostile", "lab").expect("an identity")
    }

    /// Lets a peer do what it likes, in a thread of its own.
    async fn suffers<T: Send + 'static>(
        &self,
        act: impl FnOnce(SocketAddr, ClientConfig) -> T + Send + 'static,
    ) -> T {
        let (address, config) = (self.address(), self.tls());
        let acted = tokio::task::spawn_blocking(move || act(address, config));
        let kept = acted.await.expect("as expected");
        self.still_answers().await;
        kept
    }
}

/// A connection that says what it likes.
struct Raw(StreamOwned<ClientConnection, TcpStream>);

impl Raw {
    fn connect(address: SocketAddr, config: &ClientConfig) -> Self {
        let io = TcpStream::connect(address).expect("connects");
        io.set_nodelay(true).expect("a socket");
        io.set_read_timeout(Some(LONG)).expect("a socket");
        let name = tls::server_name("lab").try_into().expect("a name");
        let tls = ClientConnection::new(Arc::new(config.clone()), name).expect("TLS 1.3");
        Self(StreamOwned::new(tls, io))
    }

    /// One that begins as it should.
    fn joined(address: SocketAddr, config: &ClientConfig, role: u8, lane: u8) -> Self {
        let mut raw = Self::connect(address, config);
        raw.write(&join(role, lane));
        raw
    }

    fn lane(address: SocketAddr, config: &ClientConfig, lane: u8) -> Self {
        let mut raw = Self::joined(address, config, 0, lane);
        raw.write(&settings(1));
        assert_eq!(raw.frame()[0], 0, "settings");
        raw
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("writes");
        self.0.flush().expect("writes");
    }

    fn read(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.0.read_exact(&mut bytes).expect("reads");
        bytes
    }

    /// The next frame, without its length.
    fn frame(&mut self) -> Vec<u8> {
        let length = self.read(4);
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        self.read(length as usize)
    }

    /// Asserts that the server closes, whatever it still sends.
    fn ends(mut self) {
        loop {
            match self.0.read(&mut [0; 4096]) {
                Ok(0) => return,
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("still open"),
                Err(_) => return,
            }
        }
    }
}

fn join(role: u8, lane: u8) -> Vec<u8> {
    frame(32, &[&[role], &[lane; 16]])
}

#[test]
fn a_lane_and_its_streams_work_as_they_are_specified() {
    case(async {
        let victim = Victim::new().await;
        victim
            .suffers(|address, config| {
                let mut lane = Raw::lane(address, &config, 1);
                lane.write(&route(1, "lab", "echo"));
                lane.write(&call(7, 1, b"hello"));
                let reply = lane.frame();
                assert_eq!((reply[0], &reply[9..]), (REPLY, &b"\0\0hello"[..]));
                // Large replies of small calls come on the lane.
                lane.write(&route(2, "lab", "fill"));
                lane.write(&call(8, 2, &super::packed(1 << 20)));
                assert_eq!(lane.frame().len(), 1 + 8 + 2 + (1 << 20));
                let mut streams = Raw::joined(address, &config, 1, 1);
                for n in 0..3 {
                    // One call after the other on one connection; the end of the request is its frame.
                    streams.write(&open(0, "echo", &[n; 40_000]));
                    assert_eq!(streams.frame(), [&[18, 0, 0][..], &[n; 40_000]].concat());
                    // Items end with a length that no frame has, here in pieces.
                    streams.write(&open(2, "sum", b""));
                    streams.write(&frame(17, &[&[5]]));
                    streams.write(&[&frame(17, &[&[n]])[..], &[0, 0]].concat());
                    streams.write(&[0, 0]);
                    assert_eq!(streams.frame(), [18, 0, 0, 5 + n]);
                }
            })
            .await;
    });
}

#[test]
fn a_stream_without_its_lane_is_not_taken() {
    case(async {
        let victim = Victim::new().await;
        victim
            .suffers(|address, config| {
                let mut raw = Raw::joined(address, &config, 1, 9);
                raw.write(&open(0, "echo", b"whose?"));
                assert_eq!(raw.read(4), [0; 4]);
                raw.ends();
            })
            .await;
        let source = Arc::clone(&victim.source);
        victim
            .suffers(move |address, config| {
                let _lane = Raw::lane(address, &config, 1);
                let other = tls::client_config(source, "other", "lab").expect("an identity");
                let mut raw = Raw::joined(address, &other, 1, 1);
                raw.write(&open(0, "echo", b"mine?"));
                assert_eq!(raw.read(4), [0; 4], "a lane of somebody else");
            })
            .await;
    });
}

#[test]
fn what_does_not_begin_as_it_should_ends() {
    case(async {
        let victim = Victim::new().await;
        victim
            .suffers(|address, config| {
                for bytes in [settings(1), join(2, 1), frame(32, &[&[0]]), vec![0xff; 100]] {
                    let mut raw = Raw::connect(address, &config);
                    raw.write(&bytes);
                    raw.ends();
                }
                let lane = Raw::lane(address, &config, 1);
                Raw::joined(address, &config, 0, 1).ends();
                drop(lane);
            })
            .await;
    });
}

#[test]
fn who_speaks_no_tls_or_no_protocol_ends() {
    case(async {
        let victim = Victim::new().await;
        victim
            .suffers(|address, mut config| {
                let mut plain = TcpStream::connect(address).expect("connects");
                plain.set_read_timeout(Some(LONG)).expect("a socket");
                plain.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("writes");
                let mut seen = Vec::new();
                // The alert, then the end.
                let _ = plain.read_to_end(&mut seen);
                assert!(seen.len() < 100 && !seen.starts_with(b"HTTP"), "{seen:?}");
                for protocols in [vec![], vec![b"h2".to_vec()], vec![b"micro/2".to_vec()]] {
                    config.alpn_protocols = protocols;
                    let mut raw = Raw::connect(address, &config);
                    let _ = raw.0.write_all(&join(0, 1));
                    raw.ends();
                }
            })
            .await;
    });
}

#[test]
fn silence_is_cut_off() {
    case(async {
        let victim = Victim::new().await;
        victim
            .suffers(|address, config| {
                let wait = |raw: Raw| thread::spawn(move || raw.ends());
                let mute = TcpStream::connect(address).expect("connects");
                let mut shaken = Raw::connect(address, &config);
                shaken.write(&join(0, 1)[..5]);
                let mut half = Raw::lane(address, &config, 2);
                half.write(&call(1, 1, b"")[..9]);
                let _lane = Raw::lane(address, &config, 3);
                let mut stream = Raw::joined(address, &config, 1, 3);
                stream.write(&open(0, "echo", b"")[..9]);
                let waits = [shaken, half, stream].map(wait);
                waits.into_iter().for_each(|wait| wait.join().expect("is closed"));
                mute.set_read_timeout(Some(LONG)).expect("a socket");
                assert!(!matches!((&mute).read(&mut [0; 1]), Ok(1..)));
            })
            .await;
        assert_eq!(victim.lab.counts().started, 4, "nothing but what is honest");
    });
}

#[test]
fn own_streams_with_nonsense_are_cut() {
    case(async {
        let victim = Victim::new().await;
        victim
            .suffers(|address, config| {
                let _lane = Raw::lane(address, &config, 1);
                for bytes in [
                    vec![0, 0, 0, 0],
                    vec![0xff; 5],
                    frame(17, &[b"an item before its call"]),
                    frame(18, &[&[0, 0]]),
                    settings(1),
                ] {
                    let mut raw = Raw::joined(address, &config, 1, 1);
                    raw.write(&bytes);
                    raw.ends();
                }
            })
            .await;
    });
}

#[test]
fn more_streams_than_allowed_are_not_taken() {
    case(async {
        let victim = Victim::new().await;
        let hold = |address, config: &ClientConfig| {
            let mut raw = Raw::joined(address, config, 1, 1);
            raw.write(&open(2, "hold_sum", b""));
            raw
        };
        let before = victim.lab.counts().started;
        let (lane, held) = victim
            .suffers(move |address, config| {
                let lane = Raw::lane(address, &config, 1);
                (lane, (0..136).map(|_| hold(address, &config)).collect::<Vec<_>>())
            })
            .await;
        // Two more are the honest peer's.
        victim.lab.until(|counts| counts.started == before + 136 + 2).await;
        victim
            .suffers(move |address, config| {
                for _ in 0..20 {
                    assert_eq!(hold(address, &config).read(4), [0; 4]);
                }
            })
            .await;
        drop((lane, held));
        victim.lab.until(|counts| counts.dropped == 136).await;
    });
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    case(async {
        let victim = Victim::new().await;
        let address = victim.address();
        let silent: Vec<_> = (0..500).map(|_| TcpStream::connect(address)).collect();
        assert!(silent.iter().all(Result::is_ok));
        let tcp = Tcp::new(Arc::clone(&victim.source), "honest", vec!["lab".into()]);
        let another = tcp.connect(&victim.listener.address(), "lab").await.expect("connects");
        assert_eq!(call_echo(&*another, 10).await.expect("answers").body.len(), 10);
        victim.still_answers().await;
        drop(silent);
    });
}

#[test]
fn who_is_not_what_was_asked_for_is_not_called() {
    case(async {
        let victim = Victim::new().await;
        let address = victim.listener.address();
        let tcp = Tcp::new(Arc::clone(&victim.source), "honest", vec![]);
        let status = tcp.connect(&address, "bank").await.expect_err("another service");
        assert!(status.message().contains("does not serve `bank`"), "{status}");
        assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No));
        let foreign = Directory::new();
        let foreign = DevCa::open(&foreign.0).expect("a directory of our own");
        let tcp = Tcp::new(Arc::new(foreign), "honest", vec![]);
        let status = tcp.connect(&address, "lab").await.expect_err("another CA");
        assert!(status.message().contains("not issued by our CA"), "{status}");
        assert_eq!((status.code(), status.executed()), (Code::Unavailable, Executed::No));
        victim.still_answers().await;
    });
}
