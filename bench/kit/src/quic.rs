//! quinn as micro sets it up, for the limits that run on it: the same windows, buffers and datagram
//! sizes, so that what is compared is what lies above.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};

use crate::tls::{self, Certified};

/// The largest datagram that discovery may reach on loopback: ten of them must stay below the 64 KiB
/// that the kernel takes at once.
pub const MTU: u16 = 6_500;
/// What fits through Ethernet with an IPv6 header: the case that matters between machines.
pub const MTU_ETHERNET: u16 = 1_452;
/// Bytes of socket buffer: with the 208 KiB of the system, bulk drops to a quarter.
const SOCKET_BUFFER: usize = 4 << 20;
const ALPN: &[u8] = b"bench";

/// An endpoint that accepts connections, on a free port of 127.0.0.1.
///
/// # Errors
/// No socket, or no certificate.
pub fn server(mtu: u16) -> Result<Endpoint> {
    let certified = Certified::new()?;
    let mut tls = certified.server()?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(mtu));
    let endpoint = endpoint(Some(config))?;
    certified.publish(endpoint.local_addr()?)?;
    Ok(endpoint)
}

/// A connection to the server at this address.
///
/// # Errors
/// The handshake fails.
pub async fn connect(address: SocketAddr, mtu: u16) -> Result<(Endpoint, quinn::Connection)> {
    let mut tls = tls::client(address)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(mtu));
    let endpoint = endpoint(None)?;
    let connection = endpoint.connect_with(config, address, tls::HOST)?.await?;
    Ok((endpoint, connection))
}

fn transport(mtu: u16) -> Arc<TransportConfig> {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(10));
    let mut config = TransportConfig::default();
    config
        // A batch of small calls is acknowledged by its replies, and not by a packet of its own before.
        .ack_frequency_config(Some(acks))
        // Callers of a stream per request need one each; each allowed stream costs ~100 idle bytes.
        .max_concurrent_bidi_streams(VarInt::from_u32(300))
        .stream_receive_window(VarInt::from_u32(1 << 20))
        .receive_window(VarInt::from_u32(8 << 20))
        .send_window(8 << 20)
        .mtu_discovery_config(Some(discovery))
        .keep_alive_interval(Some(Duration::from_secs(1)))
        // Bulk +13 %; small calls have a higher priority instead.
        .send_fairness(false)
        .datagram_receive_buffer_size(None);
    Arc::new(config)
}

fn endpoint(server: Option<ServerConfig>) -> Result<Endpoint> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // The system may give less, and then everybody on QUIC has less.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(MTU)?;
    Ok(Endpoint::new(config, server, socket.into(), Arc::new(TokioRuntime))?)
}
