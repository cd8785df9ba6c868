//! Runs the services of the fixture that `--services` chooses.

use micro_tests as _;

#[micro::main]
async fn main() -> micro::Result<()> {
    micro::run().await
}
