//! noq, the QUIC that irpc runs on, with the settings that bodies of 64 KiB and more need.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Result;
use noq::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use noq::{
    ClientConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TokioRuntime,
    TransportConfig,
};
use socket2::SockRef;

/// Of each stream: a body of several MiB in one flight.
const STREAM_WINDOW: u32 = 8 << 20;
/// Of the whole connection: four such streams.
const WINDOW: u32 = 32 << 20;
/// Of the sockets: with the 208 KiB of Linux they lose packets as soon as several bodies are in flight,
/// and 64 KiB with 16 in flight falls to a third.
const SOCKET_BUFFER: usize = 4 << 20;
/// Streams at once, each of which is a call: the default of 100 is less than the cells have in flight.
const STREAMS: u32 = 4096;

pub(crate) fn server(certified: &kit::tls::Certified, mtu: u16) -> Result<Endpoint> {
    let crypto = QuicServerConfig::try_from(certified.server()?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport(mtu));
    bind(Some(config), mtu)
}

pub(crate) fn client(address: SocketAddr, mtu: u16) -> Result<Endpoint> {
    let crypto = QuicClientConfig::try_from(kit::tls::client(address)?)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport(mtu));
    let endpoint = bind(None, mtu)?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn bind(server: Option<ServerConfig>, mtu: u16) -> Result<Endpoint> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER)?;
    SockRef::from(&socket).set_send_buffer_size(SOCKET_BUFFER)?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(mtu.max(1472))?;
    Ok(Endpoint::new(config, server, socket, Arc::new(TokioRuntime))?)
}

fn transport(mtu: u16) -> Arc<TransportConfig> {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu);
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .max_concurrent_bidi_streams(STREAMS.into())
        // As where the path is known; discovery would get there in the warm-up.
        .initial_mtu(mtu)
        .mtu_discovery_config(Some(discovery))
        // irpc writes the streams of different calls; in order of arrival is less work than in turns.
        .send_fairness(false);
    Arc::new(config)
}
