//! What quinn is told, each setting once and with its reason. The figures were measured over loopback;
//! see `docs/performance.md`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use quinn::{AckFrequencyConfig, MtuDiscoveryConfig, TransportConfig, VarInt};

use super::MTU;

/// Streams that a client may have open, once it has opened one beside the lane.
pub(super) const BIDI: u32 = 128;
/// And before that, since quinn has memory for each that may be opened: 128 of them are 10 KiB of an idle
/// connection, and these 1 KiB.
const FIRST_BIDI: u32 = 12;
/// Large replies under way to a client.
const UNI: u32 = 64;
/// Bytes in flight on one stream; must stay below 2.4 MB, where quinn-proto's bound on gaps begins to
/// refuse honest peers (quinn#2809). 2 MiB makes 1 MiB bodies a tenth to a half faster over loopback, and
/// a small call beside them wait half as long again; 1 MiB fills 80 Mbit/s at 100 ms.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes in flight on one connection; bounds what a peer can make us hold.
const WINDOW: u32 = 8 << 20;
/// A peer that says nothing for this long is gone; keep-alives make a healthy one speak thrice.
const IDLE: u32 = 3_000;
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Packets for which a peer need not send an acknowledgement at once. With QUIC's own 2 each batch of calls
/// is acknowledged by a packet of its own, just before the replies would do so: at 64 in flight an eighth
/// of all work.
const UNACKED: u32 = 10;
/// What every network carries. A larger beginning would be lost on tunnels, handshake and all; discovery
/// takes milliseconds where more gets through.
const FIRST_MTU: u16 = 1_200;
/// Sockets for outgoing connections: the one task that drives a socket fills a core at some 400,000
/// packets a second, so a process that may use many cores has several, each for its own peers.
const CLIENT_SOCKETS: usize = 4;

fn transport(mtu: u16) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(UNACKED));
    let mut config = TransportConfig::default();
    // Left as they are, having been measured: CUBIC (BBR reached 0.37 of it, with a p99 of 86 ms);
    // segmentation by the kernel on (without it large bodies reach half).
    config
        .ack_frequency_config(Some(acks))
        .initial_mtu(FIRST_MTU)
        .mtu_discovery_config(Some(discovery))
        .max_concurrent_bidi_streams(VarInt::from_u32(FIRST_BIDI))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(WINDOW.into())
        .max_idle_timeout(Some(VarInt::from_u32(IDLE).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        // With lanes at a higher priority: bulk +13 %, streaming +27 %.
        .send_fairness(false)
        .enable_segmentation_offload(true)
        .datagram_receive_buffer_size(None);
    config
}

/// How many sockets a client spreads its peers over: one for two cores, up to [`CLIENT_SOCKETS`].
pub(super) fn client_sockets() -> u64 {
    static COUNT: LazyLock<u64> = LazyLock::new(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores / 2).clamp(1, CLIENT_SOCKETS) as u64
    });
    *COUNT
}

/// For connections that we make: the server opens streams for large replies only.
pub(super) fn client(mtu: u16) -> Arc<TransportConfig> {
    let mut config = transport(mtu);
    config.max_concurrent_bidi_streams(VarInt::from_u32(0));
    config.max_concurrent_uni_streams(VarInt::from_u32(UNI));
    Arc::new(config)
}

/// For connections that are made to us: a client opens no unidirectional streams.
pub(super) fn server(config: &mut quinn::ServerConfig, mtu: u16) {
    let mut transport = transport(mtu);
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    config.transport_config(Arc::new(transport));
    // Handshakes that wait to be accepted (quinn's default: 65,536).
    config.max_incoming(1_024);
    // Services do not roam; a path that changes is somebody else's packet.
    config.migration(false);
}

/// Packets that we accept may be as large as any that peers discover, whatever we try ourselves.
pub(super) fn endpoint() -> quinn::EndpointConfig {
    let mut config = quinn::EndpointConfig::default();
    // Fails only below 1,200.
    let _ = config.max_udp_payload_size(*MTU.end());
    config
}
