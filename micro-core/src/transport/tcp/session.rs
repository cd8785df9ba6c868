//! TLS without a socket: bytes in, bytes out. rustls keeps all of the protocol; the buffers are ours, so
//! that a body is copied no more often than rustls itself does.

use std::fmt;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedConnectionCommon,
    UnbufferedStatus,
};
use rustls::{ClientConfig, Error, ServerConfig};

use super::buffer::Buffer;
use crate::identity::tls::ALPN;

/// The most that is sealed in one go: it fits an empty buffer, with everything around it.
const PIECE: usize = 3 << 14;

/// One end of a TLS connection.
pub(super) enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What a handshake needs next.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// To send what there is, and to read.
    Read,
    /// To send what there is; then it is done.
    Done,
}

impl Session {
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Error> {
        UnbufferedClientConnection::new(config, name).map(Self::Client)
    }

    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        UnbufferedServerConnection::new(config).map(Self::Server)
    }

    /// Goes on with the handshake. What the peer sent behind it is handed to `data`. After an error `out`
    /// has what tells the peer.
    pub(super) fn handshake(
        &mut self,
        incoming: &mut Buffer,
        out: &mut Buffer,
        data: &mut dyn FnMut(&[u8]),
    ) -> Result<Step, Error> {
        let step = match self {
            Self::Client(tls) => shake(tls, CLIENT, incoming, out, data),
            Self::Server(tls) => shake(tls, SERVER, incoming, out, data),
        }?;
        // Over TCP, TLS itself lets a peer pass that names no protocol at all.
        if step == Step::Done && self.protocol() != Some(ALPN) {
            return Err(Error::NoApplicationProtocol);
        }
        Ok(step)
    }

    fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Client(tls) => tls.alpn_protocol(),
            Self::Server(tls) => tls.alpn_protocol(),
        }
    }

    /// What the peer has shown.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Client(tls) => tls.peer_certificates(),
            Self::Server(tls) => tls.peer_certificates(),
        }
        .unwrap_or_default()
    }

    /// Seals the beginning of `data` into `out`, as much as there is room for: how much it was.
    pub(super) fn seal(&mut self, data: &[u8], out: &mut Buffer) -> Result<usize, Error> {
        match self {
            Self::Client(tls) => seal(tls, CLIENT, data, out),
            Self::Server(tls) => seal(tls, SERVER, data, out),
        }
    }

    /// Opens all whole records of `incoming`; `false` when the peer has said that no more come.
    pub(super) fn open(
        &mut self,
        incoming: &mut Buffer,
        data: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, Error> {
        match self {
            Self::Client(tls) => open(tls, CLIENT, incoming, data),
            Self::Server(tls) => open(tls, SERVER, incoming, data),
        }
    }
}

type Common<D> = UnbufferedConnectionCommon<D>;
type Process<D> = for<'c, 'i> fn(&'c mut Common<D>, &'i mut [u8]) -> UnbufferedStatus<'c, 'i, D>;

const CLIENT: Process<ClientConnectionData> = Common::<ClientConnectionData>::process_tls_records;
const SERVER: Process<ServerConnectionData> = Common::<ServerConnectionData>::process_tls_records;

fn shake<D>(
    tls: &mut Common<D>,
    process: Process<D>,
    incoming: &mut Buffer,
    out: &mut Buffer,
    data: &mut dyn FnMut(&[u8]),
) -> Result<Step, Error> {
    loop {
        let UnbufferedStatus { discard, state, .. } = process(tls, incoming.filled());
        let step = match state {
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                encoded(message.encode(out.space()), out)?;
                None
            }
            Ok(ConnectionState::TransmitTlsData(sent)) => {
                sent.done();
                None
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    data(record?.payload);
                }
                None
            }
            Ok(ConnectionState::BlockedHandshake) => Some(Step::Read),
            Ok(ConnectionState::WriteTraffic(_)) => Some(Step::Done),
            Ok(_) => return Err(Error::HandshakeNotComplete),
            Err(error) => {
                // The alert is what is left to be said.
                if let Ok(ConnectionState::EncodeTlsData(mut alert)) = process(tls, &mut []).state {
                    encoded(alert.encode(out.space()), out)?;
                }
                return Err(error);
            }
        };
        incoming.discard(discard);
        if let Some(step) = step {
            return Ok(step);
        }
    }
}

fn seal<D>(
    tls: &mut Common<D>,
    process: Process<D>,
    data: &[u8],
    out: &mut Buffer,
) -> Result<usize, Error> {
    loop {
        match process(tls, &mut []).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let piece = data.len().min(PIECE);
                return match traffic.encrypt(&data[..piece], out.space()) {
                    Ok(count) => {
                        out.fill(count);
                        Ok(piece)
                    }
                    // It goes into an empty buffer, after this one is written.
                    Err(EncryptError::InsufficientSize(_)) if !out.is_empty() => Ok(0),
                    Err(_) => Err(Error::EncryptError),
                };
            }
            // An answer to a change of keys.
            ConnectionState::EncodeTlsData(mut message) => {
                encoded(message.encode(out.space()), out)?;
            }
            ConnectionState::TransmitTlsData(sent) => sent.done(),
            ConnectionState::PeerClosed => {}
            _ => return Err(Error::EncryptError),
        }
    }
}

fn open<D>(
    tls: &mut Common<D>,
    process: Process<D>,
    incoming: &mut Buffer,
    data: &mut dyn FnMut(&[u8]),
) -> Result<bool, Error> {
    loop {
        let UnbufferedStatus { discard, state, .. } = process(tls, incoming.filled());
        let is_open = match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    data(record?.payload);
                }
                None
            }
            ConnectionState::WriteTraffic(_) => Some(true),
            ConnectionState::PeerClosed | ConnectionState::Closed => Some(false),
            // Nothing is sent before the next frame is.
            _ => return Err(Error::General("out of turn".into())),
        };
        incoming.discard(discard);
        if let Some(is_open) = is_open {
            return Ok(is_open);
        }
    }
}

fn encoded(result: Result<usize, EncodeError>, out: &mut Buffer) -> Result<(), Error> {
    match result {
        Ok(count) => {
            out.fill(count);
            Ok(())
        }
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size, .. })) => {
            Err(Error::General(format!("a message of {required_size} bytes")))
        }
        Err(EncodeError::AlreadyEncoded) => Err(Error::EncryptError),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client(_) => "Session(client)",
            Self::Server(_) => "Session(server)",
        })
    }
}
