//! What quinn is told, each setting once and with its reason. The figures were measured over loopback;
//! see `docs/performance.md`.

use std::sync::Arc;
use std::time::Duration;

use quinn::{MtuDiscoveryConfig, TransportConfig, VarInt};

/// Streams that a peer may have open: each costs ~100 bytes of an idle connection.
const BIDI: u32 = 128;
/// Large replies under way to a client.
const UNI: u32 = 64;
/// Bytes in flight on one stream; must stay below 2.4 MB, where quinn-proto's bound on gaps begins to
/// refuse honest peers (quinn#2809).
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes in flight on one connection; bounds what a peer can make us hold.
const WINDOW: u32 = 8 << 20;
/// A peer that says nothing for this long is gone; keep-alives make a healthy one speak thrice.
const IDLE: u32 = 3_000;
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Discovery stops here: ten segments of one send must stay below 64 KiB or the kernel refuses them
/// and quinn-udp does not say so.
const MTU: u16 = 6_500;

fn transport() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDI))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(WINDOW.into())
        .max_idle_timeout(Some(VarInt::from_u32(IDLE).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .mtu_discovery_config(Some(discovery))
        // With lanes at a higher priority: bulk +13 %, streaming +27 %.
        .send_fairness(false)
        .datagram_receive_buffer_size(None);
    config
}

/// For connections that we make: the server opens streams for large replies only.
pub(super) fn client() -> Arc<TransportConfig> {
    let mut config = transport();
    config.max_concurrent_bidi_streams(VarInt::from_u32(0));
    config.max_concurrent_uni_streams(VarInt::from_u32(UNI));
    Arc::new(config)
}

/// For connections that are made to us: a client opens no unidirectional streams.
pub(super) fn server(config: &mut quinn::ServerConfig) {
    let mut transport = transport();
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    config.transport_config(Arc::new(transport));
    // Handshakes that wait to be accepted (quinn's default: 65,536).
    config.max_incoming(1_024);
    // Services do not roam; a path that changes is somebody else's packet.
    config.migration(false);
}

/// Packets that we accept may be as large as those that we discover.
pub(super) fn endpoint() -> quinn::EndpointConfig {
    let mut config = quinn::EndpointConfig::default();
    // Fails only below 1,200.
    let _ = config.max_udp_payload_size(MTU);
    config
}
