//! A mistake: two services of one name.

mod one {
    use micro::prelude::*;

    #[derive(Default)]
    pub(crate) struct Twin;

    #[service]
    impl Twin {
        #[handler]
        async fn hello(&self) -> u32 {
            1
        }
    }
}

mod other {
    use micro::prelude::*;

    #[derive(Default)]
    pub(crate) struct Other;

    #[service(name = "twin")]
    impl Other {
        #[handler]
        async fn hello(&self) -> u32 {
            2
        }
    }
}

#[micro::main]
async fn main() -> micro::Result<()> {
    micro::run().await
}
