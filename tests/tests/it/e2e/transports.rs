//! Processes that call each other by QUIC, by TCP, or by whichever gets through.

use micro_tests::process::{Finished, Home, Process};

use super::fixture;

async fn called(home: &Home, transport: &str) -> Finished {
    let caller = home.program(env!("CARGO_BIN_EXE_caller")).args(["--transport", transport]);
    caller.finish().await
}

/// Asserts that callers by these transports are answered by the service.
async fn answers(home: &Home, service: &Process, transports: &[&str]) {
    for transport in transports {
        let caller = called(home, transport).await;
        assert_eq!(caller.out, [format!("pid {}", service.pid())], "{transport}: {caller:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_on_both_is_reached_by_either() {
    let home = Home::new();
    let service = fixture(&home, "counter").args(["--transport", "auto"]).serve().await;
    answers(&home, &service, &["quic", "tcp", "auto"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_on_tcp_is_reached_by_tcp_and_auto() {
    let home = Home::new();
    let listening = ["--address", "tcp://127.0.0.1:0"];
    let service = fixture(&home, "counter").args(listening).serve().await;
    answers(&home, &service, &["tcp", "auto"]).await;
    let caller = called(&home, "quic").await;
    assert_eq!(caller.code(), Some(1), "{caller:#?}");
}
