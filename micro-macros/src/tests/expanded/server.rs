impl api::Quotes for PriceList
where
    for<'micro> PriceList: ::micro::__private::Shared,
{
    async fn quote(&self, req: QuoteRequest) -> Result<Quote, QuoteError> {
        ..
    }
    #[allow(
        clippy::all,
        clippy::nursery,
        clippy::pedantic,
        dead_code,
        deprecated,
        missing_debug_implementations,
        private_bounds,
        private_interfaces,
        unnameable_types,
        unreachable_code,
        unreachable_pub,
        unused_imports,
        unused_mut,
        unused_variables,
    )]
    #[doc(hidden)]
    const __MICRO_SERVED: ::micro::__private::Option<::micro::__private::Registration> = {
        pub enum __Contract {}
        #[automatically_derived]
        impl ::micro::__private::Serve<__Contract> for PriceList
        where
            for<'micro> PriceList: ::micro::__private::Shared,
        {
            const DESCRIPTOR: &'static ::micro::__private::ServiceDescriptor = {
                use ::micro::__private::NoSchema as _;
                &::micro::__private::ServiceDescriptor {
                    type_name: "PriceList",
                    subscriptions: &[
                        ::micro::__private::SubscriptionDescriptor {
                            handler: "on",
                            pattern: ::micro::__private::event::<OrderCreated>().topic,
                            topic: ::micro::__private::event::<OrderCreated>().topic,
                            group: ::micro::__private::Option::None,
                            broadcast: false,
                            event: ::micro::__private::Probe::<OrderCreated>::TYPE,
                            location: ::micro::__private::Location {
                                krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                                file: "",
                                line: 0u32,
                            },
                        },
                    ],
                    emits: &[],
                    interceptors: &[
                        ::micro::__private::Applied::of::<
                            (trace),
                        >(::micro::__private::Filter::Except(&["quote"])),
                    ],
                    location: ::micro::__private::Location {
                        krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                        file: "",
                        line: 0u32,
                    },
                    ..*<Self as api::Quotes>::__MICRO
                }
            };
            async fn build(
                from: &::micro::__private::Injector,
            ) -> ::micro::__private::Result<Self> {
                ::micro::__private::StdResult::Ok(
                    <Self>::new(
                            ::micro::__private::injector::<Config<Limits>>()(from).await?,
                        )
                        .await?,
                )
            }
            fn dispatch(
                self: ::micro::__private::Arc<Self>,
                method: ::micro::__private::std::primitive::u16,
                call: ::micro::__private::Incoming,
            ) -> ::micro::__private::BoxFuture<'static, ::micro::__private::Outcome> {
                <Self as api::Quotes>::__micro_dispatch(self, method, call)
            }
            fn deliver(
                self: ::micro::__private::Arc<Self>,
                subscription: ::micro::__private::std::primitive::u16,
                call: ::micro::__private::Incoming,
            ) -> ::micro::__private::BoxFuture<'static, ::micro::__private::Outcome> {
                match subscription {
                    0u16 => {
                        ::micro::__private::run(async move {
                            let event = ::micro::__private::request(
                                const {
                                    ::micro::__private::event::<OrderCreated>().codec.decode
                                },
                                call.encoding,
                                call.body,
                            )?;
                            ::micro::__private::done(
                                const {
                                    ::micro::__private::error::<
                                        ::micro::__private::Infallible,
                                    >()
                                        .into_status
                                },
                                call.encoding,
                                ::micro::__private::infallible(
                                    ::micro::__private::require_send(<Self>::on(&*self, event))
                                        .await,
                                ),
                            )
                        })
                    }
                    _ => {
                        ::micro::__private::run(async move {
                            ::micro::__private::no_method(&call)
                        })
                    }
                }
            }
        }
        ::micro::__private::inventory::submit! {
            ::micro::__private::register:: < PriceList, __Contract > ()
        }
        ::micro::__private::Option::Some(
            ::micro::__private::register::<Self, __Contract>(),
        )
    };
}
impl PriceList {
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn new(limits: Config<Limits>) -> Result<Self> {
        Ok(Self(limits))
    }
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn on(&self, order: OrderCreated) {}
}
#[allow(
    clippy::all,
    clippy::nursery,
    clippy::pedantic,
    dead_code,
    deprecated,
    missing_debug_implementations,
    private_bounds,
    private_interfaces,
    unnameable_types,
    unreachable_code,
    unreachable_pub,
    unused_imports,
    unused_mut,
    unused_variables,
)]
const _: () = {
    use ::micro::__private::{NoSchema as _, NotResult as _};
    const _: () = <::micro::__private::At>::interceptor(
        "PriceList",
        &[
            ::micro::__private::Applied::of::<
                (trace),
            >(::micro::__private::Filter::Except(&["quote"])),
        ],
        &[],
        0usize,
    );
    const _: () = <::micro::__private::At>::filter(
        <PriceList as api::Quotes>::__MICRO,
        "except",
        "quote",
    );
};
