use std::net::{Ipv4Addr, UdpSocket};

use super::*;

/// A port of its own for each test, so that they do not hear each other.
fn options() -> MdnsOptions {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    MdnsOptions { loopback_only: true, port: free.local_addr().expect("bound").port() }
}

fn instance(service: &str) -> Instance {
    Instance {
        id: InstanceId::random(),
        service: service.into(),
        version: 1,
        addresses: vec!["quic://127.0.0.1:4433".parse().expect("address")],
        metadata: Default::default(),
        subscriptions: Vec::new(),
    }
}

async fn until(registry: &MdnsRegistry, service: &str, count: usize) {
    let mut updates = registry.watch(Some(service)).await.expect("watch");
    while registry.0.table.lookup(service).len() != count {
        let more = timeout(Duration::from_secs(20), updates.next()).await;
        more.expect("in time").expect("the registry is there");
    }
}

#[tokio::test]
async fn a_port_that_is_not_shared_is_an_error_and_not_a_silence() {
    let alone = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    let port = alone.local_addr().expect("bound").port();
    match MdnsRegistry::open(MdnsOptions { loopback_only: true, port }) {
        Err(RegistryError::Misconfigured { what, source: Some(_) }) => {
            assert!(what.contains("multicast DNS does not work here"), "{what}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dropping_the_registry_says_goodbye_for_all_that_is_left() {
    let options = options();
    let (here, there) = (
        MdnsRegistry::open(options.clone()).expect("open"),
        MdnsRegistry::open(options).expect("open"),
    );
    let lease = there.register(instance("orders")).await.expect("registered");
    until(&here, "orders", 1).await;
    drop(lease);
    drop(there);
    until(&here, "orders", 0).await;
}

#[tokio::test]
async fn a_flood_is_cut_off_and_what_is_known_is_kept() {
    let options = options();
    let here = MdnsRegistry::open(options.clone()).expect("open");
    let there = MdnsRegistry::open(options.clone()).expect("open");
    let _lease = there.register(instance("orders")).await.expect("registered");
    until(&here, "orders", 1).await;

    let flood = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket2::SockRef::from(&flood).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("lo");
    let rested = async {
        while lock(&here.0.daemon).is_some() {
            tokio::task::yield_now().await;
        }
    };
    let shout = async {
        for packet in 0_u32.. {
            // Sending fails when buffers are full, which is the point.
            let _ =
                flood.send_to(&answers(packet, 250), (Ipv4Addr::new(224, 0, 0, 251), options.port));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = rested => {}, () = shout => {} }
    assert_eq!(here.lookup("orders").await.expect("lookup").len(), 1);
    let lease = here.register(instance("late")).await.expect("registered while it rests");
    // And after the rest it hears and speaks again.
    until(&there, "late", 1).await;
    lease.release().await.expect("released");
    until(&there, "late", 0).await;
    assert_eq!(here.lookup("orders").await.expect("lookup").len(), 1);
}

/// A response with `count` addresses of hosts that nobody asked for.
fn answers(packet: u32, count: u16) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0];
    bytes.extend(count.to_be_bytes());
    bytes.extend([0; 4]);
    for number in 0..count {
        let label = format!("h{packet:x}-{number:x}");
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
        bytes.extend(b"\x05local\x00\x00\x01\x00\x01\x00\x00\x11\x94\x00\x04\x0a\x00\x00\x01");
    }
    bytes
}
