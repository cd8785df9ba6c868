//! Processes that cannot start: each says why at once, in words that name what is wrong, and leaves
//! nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use micro_core::registry::{LocalRegistry, Registry};
use micro_tests::process::{Finished, Home, Program};

use super::{fixture, serve};

/// The process cannot run as it is configured.
const MISCONFIGURED: i32 = 78;

/// Starts it and reads why it does not run.
async fn refused(program: Program, wanted: &[&str]) -> Finished {
    let finished = program.finish().await;
    let text = finished.errors();
    assert!(!text.contains("listening on"), "it must not begin: {finished:#?}");
    assert!(!text.contains("panicked"), "{finished:#?}");
    assert_eq!(finished.out, [""; 0], "{finished:#?}");
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not said: {finished:#?}");
    }
    finished
}

/// As [`refused`], because of its configuration.
async fn misconfigured(program: Program, wanted: &[&str]) {
    let finished = refused(program, wanted).await;
    assert_eq!(finished.code(), Some(MISCONFIGURED), "{finished:#?}");
}

fn counter(home: &Home) -> Program {
    fixture(home, "counter")
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_name_the_nearest() {
    let home = Home::new();
    misconfigured(counter(&home).args(["--registri", "local"]), &["--registri", "`registry`"])
        .await;
    misconfigured(counter(&home).env("MICRO_REGISTRI", "local"), &["`MICRO_REGISTRY`"]).await;
    let file = home.path().join("micro.toml");
    fs::write(&file, "registri = \"local\"").expect("a file");
    misconfigured(counter(&home), &["`registri`", "`registry`", "micro.toml"]).await;
    fs::write(&file, "registry = local").expect("a file");
    misconfigured(counter(&home), &["micro.toml", "line 1"]).await;
    fs::remove_file(&file).expect("removed");
    let missing = home.path().join("missing.toml");
    misconfigured(counter(&home).env("MICRO_CONFIG", &missing), &["missing.toml"]).await;
    misconfigured(counter(&home).args(["stray"]), &["stray", "--help"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_schemes_name_the_known_ones() {
    let home = Home::new();
    let with = |flag: &str, url: &str| counter(&home).args([flag, url]);
    misconfigured(with("--registry", "locl://"), &["`locl`", "`local`"]).await;
    misconfigured(with("--registry", "etcd://host"), &["`etcd`", "mdns"]).await;
    misconfigured(with("--broker", "nats://host"), &["`nats`", "direct"]).await;
    misconfigured(with("--transport", "quik://"), &["`quik`", "`quic`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_name_their_key() {
    let home = Home::new();
    let with = |flag: &str, value: &str| counter(&home).args([flag, value]);
    misconfigured(with("--request-timeout", "soon"), &["--request-timeout", "soon"]).await;
    misconfigured(with("--max-in-flight", "0"), &["max_in_flight"]).await;
    misconfigured(with("--log", "loud"), &["loud", "debug"]).await;
    misconfigured(with("--address", "here"), &["here"]).await;
    misconfigured(with("--services", "countr"), &["`countr`", "`counter`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_used_is_named() {
    let home = Home::new();
    let file = home.path().join("file");
    fs::write(&file, "").expect("a file");
    misconfigured(counter(&home).env("MICRO_HOME", &file), &["/file", "not a directory"]).await;
    misconfigured(counter(&home).env("MICRO_HOME", "relative"), &["MICRO_HOME", "absolute"]).await;
    misconfigured(counter(&home).env("MICRO_HOME", "/proc/none"), &["/proc/none"]).await;
    let open = home.path().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
    misconfigured(counter(&home).env("MICRO_HOME", &open), &["/open", "chmod 700"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_directory_that_cannot_be_used_is_named() {
    let home = Home::new();
    let at = |path: &str| counter(&home).args(["--registry", &format!("local://{path}")]);
    misconfigured(at("/proc/none"), &["registry directory /proc/none"]).await;
    let file = home.path().join("file");
    fs::write(&file, "").expect("a file");
    misconfigured(at(file.to_str().expect("text")), &["registry directory", "/file"]).await;
    let open = home.path().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
    misconfigured(at(open.to_str().expect("text")), &["/open", "chmod 700"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_exposed_ca_is_never_replaced_in_silence() {
    let home = Home::new();
    let service = serve(&home, "counter").await;
    service.terminate();
    service.finished().await;
    let ca = home.path().join("dev-ca/ca");
    let good = fs::read(&ca).expect("a CA");

    fs::set_permissions(&ca, fs::Permissions::from_mode(0o644)).expect("exposed");
    misconfigured(counter(&home), &["dev-ca/ca", "other users"]).await;
    fs::set_permissions(&ca, fs::Permissions::from_mode(0o600)).expect("closed");
    fs::write(&ca, &good[..good.len() / 2]).expect("half of it");
    misconfigured(counter(&home), &["dev-ca/ca", "damaged", "delete"]).await;
    fs::write(&ca, "").expect("emptied");
    misconfigured(counter(&home), &["dev-ca/ca", "empty"]).await;

    fs::write(&ca, good).expect("as it was");
    serve(&home, "counter").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_of_one_name_are_both_named() {
    let home = Home::new();
    let twins = home.program(env!("CARGO_BIN_EXE_twins"));
    misconfigured(twins, &["`twin`", "Twin", "Other", "twins.rs", "#[service(name ="]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_nothing_is_registered() {
    let home = Home::new();
    let first = serve(&home, "counter").await;
    let address = first.listening().await;
    let second = fixture(&home, "numbers").args(["--address", &address]);
    let finished = refused(second, &[&address, "another process listens there"]).await;
    assert_ne!(finished.code(), Some(0));
    let registry = LocalRegistry::open(home.path().join("registry")).expect("opens");
    let listed = registry.list().await.expect("reads");
    let names: Vec<_> = listed.iter().map(|instance| instance.service.as_str()).collect();
    assert_eq!(names, ["counter"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_is_not_an_error() {
    let home = Home::new();
    let finished = counter(&home).args(["--help"]).finish().await;
    assert_eq!(finished.code(), Some(0));
    assert!(finished.out.iter().any(|line| line.contains("--drain-timeout")), "{finished:#?}");
}
