impl<S: Store> Flow<S> {
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn out(&self, upto: u32, out: Sink<u32>) -> Result<()> {}
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn sum(&self, input: Streaming<u32>) -> Result<u32> {}
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn both(&self, a: u8, b: u8, input: Streaming<u32>, out: Sink<u8>) {}
    #[cfg(feature = "x")]
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn opened(&self) -> Result<impl Stream<Item = Result<u8>>, Fault> {}
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
///Typed client of the service `flow`.
#[derive(::micro::__private::std::clone::Clone, ::micro::__private::std::fmt::Debug)]
pub(crate) struct FlowClient {
    channel: ::micro::__private::Channel,
}
#[automatically_derived]
impl ::micro::__private::std::convert::From<::micro::__private::Channel> for FlowClient {
    fn from(channel: ::micro::__private::Channel) -> Self {
        Self { channel }
    }
}
#[automatically_derived]
impl ::micro::__private::ServiceClient for FlowClient {
    const SERVICE: &'static ::micro::__private::std::primitive::str = "flow";
}
#[automatically_derived]
impl ::micro::__private::Inject for FlowClient {
    async fn inject(
        from: &::micro::__private::Injector,
    ) -> ::micro::__private::Result<Self> {
        ::micro::__private::StdResult::Ok(
            <Self as ::micro::__private::std::convert::From<
                ::micro::__private::Channel,
            >>::from(::micro::__private::Injector::channel(from, "flow")),
        )
    }
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
#[automatically_derived]
impl FlowClient {
    ///The route `flow.out`.
    pub const OUT: ::micro::__private::Route<
        u32,
        (),
        <Result<()> as ::micro::__private::Fallible>::Err,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "flow",
        "out",
        ::micro::__private::Kind::ServerStream,
        ::micro::__private::Encoder::One(const {
            ::micro::__private::codec::<u32>().encode
        }),
        const { ::micro::__private::codec::<()>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<u32>::TYPE,
                reply: ::micro::__private::Probe::<u32>::TYPE,
            }
        },
    );
    ///The route `flow.sum`.
    pub const SUM: ::micro::__private::Route<
        (),
        u32,
        <Result<u32> as ::micro::__private::Fallible>::Err,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "flow",
        "sum",
        ::micro::__private::Kind::ClientStream,
        ::micro::__private::Encoder::One(const {
            ::micro::__private::codec::<()>().encode
        }),
        const { ::micro::__private::codec::<u32>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<u32>::TYPE,
                reply: ::micro::__private::Probe::<u32>::TYPE,
            }
        },
    );
    ///The route `flow.both`.
    pub const BOTH: ::micro::__private::Route<
        (u8, u8),
        (),
        ::micro::__private::Infallible,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "flow",
        "both",
        ::micro::__private::Kind::Bidi,
        ::micro::__private::Encoder::named(
            &["a", "b"],
            ::micro::__private::args::<
                (
                    <u8 as ::micro::__private::Argument>::Type,
                    <u8 as ::micro::__private::Argument>::Type,
                ),
            >(),
        ),
        const { ::micro::__private::answer::<()>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<u32>::TYPE,
                reply: ::micro::__private::Probe::<u8>::TYPE,
            }
        },
    );
    #[cfg(feature = "x")]
    ///The route `flow.opened`.
    pub const OPENED: ::micro::__private::Route<
        (),
        (),
        <Result<u8> as ::micro::__private::Fallible>::Err,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "flow",
        "opened",
        ::micro::__private::Kind::ServerStream,
        ::micro::__private::Encoder::One(const {
            ::micro::__private::codec::<()>().encode
        }),
        const { ::micro::__private::codec::<()>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<()>::TYPE,
                reply: ::micro::__private::Probe::<u8>::TYPE,
            }
        },
    );
    ///Calls `flow.out`.
    #[inline]
    pub fn out(
        &self,
        upto: u32,
    ) -> ::micro::__private::StreamCall<'_, ::micro::__private::Streaming<u32>> {
        ::micro::__private::StreamCall::server(
            &self.channel,
            Self::OUT,
            &upto,
            const { ::micro::__private::codec::<u32>().decode },
        )
    }
    ///Calls `flow.sum`.
    #[inline]
    pub fn sum(
        &self,
    ) -> ::micro::__private::StreamCall<
        '_,
        (
            ::micro::__private::Sink<u32>,
            ::micro::__private::Pending<
                u32,
                <Result<u32> as ::micro::__private::Fallible>::Err,
            >,
        ),
    > {
        ::micro::__private::StreamCall::client(
            &self.channel,
            Self::SUM,
            &(),
            const { ::micro::__private::codec::<u32>().encode },
        )
    }
    ///Calls `flow.both`.
    #[inline]
    pub fn both(
        &self,
        a: u8,
        b: u8,
    ) -> ::micro::__private::StreamCall<
        '_,
        (::micro::__private::Sink<u32>, ::micro::__private::Streaming<u8>),
    > {
        ::micro::__private::StreamCall::bidi(
            &self.channel,
            Self::BOTH,
            &(a, b),
            const { ::micro::__private::codec::<u32>().encode },
            const { ::micro::__private::codec::<u8>().decode },
        )
    }
    #[cfg(feature = "x")]
    ///Calls `flow.opened`.
    #[inline]
    pub fn opened(
        &self,
    ) -> ::micro::__private::StreamCall<'_, ::micro::__private::Streaming<u8>> {
        ::micro::__private::StreamCall::server(
            &self.channel,
            Self::OPENED,
            &(),
            const { ::micro::__private::codec::<u8>().decode },
        )
    }
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
    pub enum __Contract {}
    #[automatically_derived]
    impl<S: Store> ::micro::__private::Serve<__Contract> for Flow<S> {
        const DESCRIPTOR: &'static ::micro::__private::ServiceDescriptor = {
            use ::micro::__private::NoSchema as _;
            &::micro::__private::ServiceDescriptor {
                name: "flow",
                version: 1u32,
                type_name: "Flow",
                docs: "",
                methods: &[
                    ::micro::__private::MethodDescriptor {
                        name: "out",
                        kind: ::micro::__private::Kind::ServerStream,
                        idempotent: false,
                        access: ::micro::__private::Access::Domain,
                        http: ::micro::__private::Option::None,
                        timeout: ::micro::__private::Option::None,
                        docs: "",
                        request: ::micro::__private::Probe::<u32>::TYPE,
                        reply: ::micro::__private::Probe::<u32>::TYPE,
                        location: ::micro::__private::Location {
                            krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                            file: "",
                            line: 0u32,
                        },
                    },
                    ::micro::__private::MethodDescriptor {
                        name: "sum",
                        kind: ::micro::__private::Kind::ClientStream,
                        idempotent: false,
                        access: ::micro::__private::Access::Domain,
                        http: ::micro::__private::Option::None,
                        timeout: ::micro::__private::Option::None,
                        docs: "",
                        request: ::micro::__private::Probe::<u32>::TYPE,
                        reply: ::micro::__private::Probe::<u32>::TYPE,
                        location: ::micro::__private::Location {
                            krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                            file: "",
                            line: 0u32,
                        },
                    },
                    ::micro::__private::MethodDescriptor {
                        name: "both",
                        kind: ::micro::__private::Kind::Bidi,
                        idempotent: false,
                        access: ::micro::__private::Access::Domain,
                        http: ::micro::__private::Option::None,
                        timeout: ::micro::__private::Option::None,
                        docs: "",
                        request: ::micro::__private::Probe::<u32>::TYPE,
                        reply: ::micro::__private::Probe::<u8>::TYPE,
                        location: ::micro::__private::Location {
                            krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                            file: "",
                            line: 0u32,
                        },
                    },
                    #[cfg(feature = "x")]
                    ::micro::__private::MethodDescriptor {
                        name: "opened",
                        kind: ::micro::__private::Kind::ServerStream,
                        idempotent: false,
                        access: ::micro::__private::Access::Domain,
                        http: ::micro::__private::Option::None,
                        timeout: ::micro::__private::Option::None,
                        docs: "",
                        request: ::micro::__private::Probe::<()>::TYPE,
                        reply: ::micro::__private::Probe::<u8>::TYPE,
                        location: ::micro::__private::Location {
                            krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                            file: "",
                            line: 0u32,
                        },
                    },
                ],
                subscriptions: &[],
                emits: &[],
                interceptors: &[],
                location: ::micro::__private::Location {
                    krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                    file: "",
                    line: 0u32,
                },
            }
        };
        async fn build(
            from: &::micro::__private::Injector,
        ) -> ::micro::__private::Result<Self> {
            ::micro::__private::manual::<Self>("flow")
        }
        fn dispatch(
            self: ::micro::__private::Arc<Self>,
            method: ::micro::__private::std::primitive::u16,
            mut call: ::micro::__private::Incoming,
        ) -> ::micro::__private::BoxFuture<'static, ::micro::__private::Outcome> {
            if method
                == const {
                    ::micro::__private::check::method_index(
                        <Self as ::micro::__private::Serve<__Contract>>::DESCRIPTOR,
                        "out",
                    )
                }
            {
                return ::micro::__private::run(async move {
                    let outbound = ::micro::__private::outbound::<
                        u32,
                    >(const { ::micro::__private::codec::<u32>().encode }, &mut call)?;
                    let request = ::micro::__private::request(
                        const { ::micro::__private::codec::<u32>().decode },
                        call.encoding,
                        call.body,
                    )?;
                    ::micro::__private::done(
                        const {
                            ::micro::__private::error::<
                                <Result<()> as ::micro::__private::Fallible>::Err,
                            >()
                                .into_status
                        },
                        call.encoding,
                        ::micro::__private::require_send(
                                <Self>::out(&*self, request, outbound),
                            )
                            .await,
                    )
                });
            }
            if method
                == const {
                    ::micro::__private::check::method_index(
                        <Self as ::micro::__private::Serve<__Contract>>::DESCRIPTOR,
                        "sum",
                    )
                }
            {
                return ::micro::__private::run(async move {
                    let inbound = ::micro::__private::inbound::<
                        u32,
                    >(const { ::micro::__private::codec::<u32>().decode }, &mut call)?;
                    ::micro::__private::reply(
                        const { ::micro::__private::codec::<u32>().encode },
                        const {
                            ::micro::__private::error::<
                                <Result<u32> as ::micro::__private::Fallible>::Err,
                            >()
                                .into_status
                        },
                        call.encoding,
                        ::micro::__private::require_send(<Self>::sum(&*self, inbound))
                            .await,
                    )
                });
            }
            if method
                == const {
                    ::micro::__private::check::method_index(
                        <Self as ::micro::__private::Serve<__Contract>>::DESCRIPTOR,
                        "both",
                    )
                }
            {
                return ::micro::__private::run(async move {
                    let inbound = ::micro::__private::inbound::<
                        u32,
                    >(const { ::micro::__private::codec::<u32>().decode }, &mut call)?;
                    let outbound = ::micro::__private::outbound::<
                        u8,
                    >(const { ::micro::__private::codec::<u8>().encode }, &mut call)?;
                    let (argument0, argument1) = ::micro::__private::arguments(
                        const {
                            ::micro::__private::args::<
                                (
                                    <u8 as ::micro::__private::Argument>::Type,
                                    <u8 as ::micro::__private::Argument>::Type,
                                ),
                            >()
                                .decode
                        },
                        &["a", "b"],
                        call.encoding,
                        call.body,
                    )?;
                    ::micro::__private::done(
                        const {
                            ::micro::__private::error::<::micro::__private::Infallible>()
                                .into_status
                        },
                        call.encoding,
                        ::micro::__private::infallible(
                            ::micro::__private::require_send(
                                    <Self>::both(
                                        &*self,
                                        argument0,
                                        argument1,
                                        inbound,
                                        outbound,
                                    ),
                                )
                                .await,
                        ),
                    )
                });
            }
            #[cfg(feature = "x")]
            if method
                == const {
                    ::micro::__private::check::method_index(
                        <Self as ::micro::__private::Serve<__Contract>>::DESCRIPTOR,
                        "opened",
                    )
                }
            {
                return ::micro::__private::run(async move {
                    let outbound = ::micro::__private::outbound::<
                        u8,
                    >(const { ::micro::__private::codec::<u8>().encode }, &mut call)?;
                    ::micro::__private::try_forward(
                            ::micro::__private::require_stream(
                                ::micro::__private::opened(
                                    const { ::micro::__private::error::<Fault>().into_status },
                                    call.encoding,
                                    ::micro::__private::require_send(<Self>::opened(&*self))
                                        .await,
                                )?,
                            ),
                            outbound,
                            const {
                                ::micro::__private::error::<
                                    <Result<u8> as ::micro::__private::Fallible>::Err,
                                >()
                                    .into_status
                            },
                            call.encoding,
                        )
                        .await
                });
            }
            ::micro::__private::run(async move { ::micro::__private::no_method(&call) })
        }
        fn deliver(
            self: ::micro::__private::Arc<Self>,
            subscription: ::micro::__private::std::primitive::u16,
            call: ::micro::__private::Incoming,
        ) -> ::micro::__private::BoxFuture<'static, ::micro::__private::Outcome> {
            match subscription {
                _ => {
                    ::micro::__private::run(async move {
                        ::micro::__private::no_method(&call)
                    })
                }
            }
        }
    }
};
