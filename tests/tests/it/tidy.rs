//! The invariants of ARCHITECTURE.md that a machine can look at.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of micro-core from the bottom up; a module may name those of its own layer and below.
const LAYERS: [(&str, &[&str]); 4] = [
    (
        "words",
        &[
            "call", "codec", "context", "event", "fault", "hash", "id", "metadata", "schema",
            "stats", "status", "stream", "sync", "tasks", "text", "topic", "wire",
        ],
    ),
    (
        "seams",
        &[
            "balance",
            "broker",
            "describe",
            "home",
            "identity",
            "interceptor",
            "registry",
            "service",
            "transport",
        ],
    ),
    ("engine", &["check", "client", "handler", "inject", "publisher", "router", "server"]),
    ("edge", &["__private", "app", "backends", "config", "telemetry", "testing"]),
];

/// Where a vendor crate may be named.
const VENDORS: [(&str, &[&str]); 4] = [
    ("quinn", &["transport/quic/", "identity/tls.rs", "identity/tests"]),
    ("rustls", &["transport/quic/mod.rs", "transport/tcp/", "identity/"]),
    ("rcgen", &["identity/"]),
    ("mdns_sd", &["registry/mdns/"]),
];

/// Longer files have a second idea in them.
const MOST_LINES: usize = 500;

struct Source {
    /// Relative to the repository.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(root()).expect("below the root");
                let relative = relative.to_string_lossy().replace('\\', "/");
                found
                    .push(Source { path: relative, text: fs::read_to_string(path).expect("text") });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// Lines of code: without comments, and without the tests at the end of a file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

fn module(path: &str) -> &str {
    let path = path.strip_prefix("micro-core/src/").expect("a file of the core");
    path.split(['/', '.']).next().expect("a name")
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn imports_of_the_core_point_down() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources("micro-core/src") {
        let own = module(&path);
        if own == "lib" || is_test(&path) {
            continue;
        }
        let layer_of_own = layer(own).unwrap_or_else(|| panic!("{path}: `{own}` is in no layer"));
        for (number, line) in code(&text) {
            for name in line.split("crate::").skip(1) {
                let end =
                    name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                if layer(&name[..end]).is_some_and(|other| other > layer_of_own) {
                    let room = LAYERS[layer_of_own].0;
                    wrong.push(format!("{path}:{}: {room} names {}", number + 1, &name[..end]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point up:\n{}", wrong.join("\n"));
}

#[test]
fn vendor_crates_are_named_in_their_backend_only() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources("micro-core/src") {
        let inner = path.strip_prefix("micro-core/src/").expect("a file of the core");
        for (vendor, places) in VENDORS {
            if places.iter().any(|place| inner.starts_with(place)) {
                continue;
            }
            let names = |line: &str| {
                line.contains(&format!("{vendor}::")) || line.contains(&format!("use {vendor}"))
            };
            if let Some((number, _)) = code(&text).find(|(_, line)| names(line)) {
                wrong.push(format!("{path}:{}: {vendor}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "vendor crates outside of their backend:\n{}", wrong.join("\n"));
}

#[test]
fn the_engine_names_no_backend() {
    let backends = [
        "transport::quic",
        "transport::tcp",
        "transport::memory",
        "registry::local",
        "registry::memory",
        "registry::mdns",
        "broker::memory",
        "broker::direct",
        "identity::dev",
    ];
    let mut wrong = Vec::new();
    for Source { path, text } in sources("micro-core/src") {
        if layer(module(&path)) != Some(2) || is_test(&path) {
            continue;
        }
        for (number, line) in code(&text) {
            if backends.iter().any(|backend| line.contains(backend)) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "backends named by the engine:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    for folder in
        ["micro-core/src", "micro-macros/src", "micro/src", "micro-cli/src", "xtask/src", "tests"]
    {
        for Source { path, text } in sources(folder) {
            // The module that a `tests.rs` belongs to says it; what macros make is data here.
            assert!(
                text.starts_with("//!")
                    || path.ends_with("/tests.rs")
                    || path.contains("/expanded/"),
                "{path} does not open with `//!`"
            );
        }
    }
}

#[test]
fn files_are_of_a_size_that_people_read() {
    let mut long = Vec::new();
    for folder in ["micro-core/src", "micro-macros/src", "micro/src", "micro-cli/src", "xtask/src"]
    {
        for Source { path, text } in sources(folder) {
            let lines = text.lines().count();
            if lines > MOST_LINES && !is_test(&path) {
                long.push(format!("{path}: {lines}"));
            }
        }
    }
    assert!(long.is_empty(), "files of more than {MOST_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn no_crate_allows_unsafe_code() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for Source { path, text } in
        sources("micro-core/src").into_iter().chain(sources("micro-macros/src"))
    {
        assert!(
            code(&text).all(|(_, line)| !line.contains("unsafe {")),
            "{path} has an unsafe block"
        );
    }
}

#[test]
fn every_example_fits_eighty_lines() {
    for Source { path, text } in sources("examples") {
        if path.ends_with("main.rs") {
            let lines = text.lines().count();
            assert!(lines <= 80, "{path} has {lines} lines");
        }
    }
}

#[test]
fn features_of_the_core_are_explained() {
    let manifest = fs::read_to_string(root().join("micro-core/Cargo.toml")).expect("the manifest");
    let features = manifest.split("[features]").nth(1).expect("features");
    let features = features.split("\n[").next().expect("a section");
    let mut before = "";
    for line in features.lines().filter(|line| !line.trim().is_empty()) {
        let is_feature =
            line.contains('=') && !line.starts_with("default") && !line.starts_with('#');
        assert!(!is_feature || before.starts_with('#'), "no comment above `{line}`");
        before = line;
    }
}
