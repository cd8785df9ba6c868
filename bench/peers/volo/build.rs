//! The code for the IDL of the echo service.

fn main() {
    println!("cargo::rerun-if-changed=idl/echo.thrift");
    volo_build::Builder::thrift().add_service("idl/echo.thrift").write().expect("the IDL compiles");
}
