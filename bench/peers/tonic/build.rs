//! Generates the gRPC code.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut prost = tonic_prost_build::Config::new();
    // Payloads as `Bytes`: sliced out of what was received, not copied.
    prost.bytes(["."]);
    tonic_prost_build::configure().compile_with_config(
        prost,
        &["proto/bench.proto"],
        &["proto"],
    )?;
    Ok(())
}
