//! Three services that call each other and exchange events, in one process or three by a flag.
//!
//! ```sh
//! cargo run -p shop                                                          # one process, or
//! cargo run -p shop -- --services catalog                                    # three
//! cargo run -p shop -- --services orders
//! cargo run -p shop -- --services warehouse
//! cargo run -p micro-cli -- call orders.place '{"sku":"tea","count":2}'      # 700
//! cargo run -p micro-cli -- call warehouse.stock '"tea"'                     # 98
//! ```

mod catalog;
mod orders;
mod warehouse;

#[micro::main(services(catalog::Catalog, orders::Orders, warehouse::Warehouse))]
async fn main() -> micro::Result<()> {
    micro::run().await
}
