//! The code for the service and its messages.

use buffa_codegen::BytesRepr;
use connectrpc_build::{CodeGenConfig, Config};

fn main() {
    let mut messages = CodeGenConfig::default();
    // Sliced from the body that came instead of copied.
    messages.bytes_fields = vec![(".".to_owned(), BytesRepr::Bytes)];
    Config::new()
        .buffa_config(messages)
        .generate_json(false)
        .files(&["proto/echo.proto"])
        .includes(&["proto"])
        .include_file("_connectrpc.rs")
        .compile()
        .expect("protoc is on the PATH and the file compiles");
}
