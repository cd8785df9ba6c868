pub trait Quotes: Sync + ::micro::__private::Shared + ::micro::__private::std::marker::Sized {
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    fn quote(
        &self,
        req: QuoteRequest,
    ) -> impl ::micro::__private::Future<
        Output = Result<Quote, QuoteError>,
    > + ::micro::__private::std::marker::Send;
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    fn ping(
        &self,
    ) -> impl ::micro::__private::Future<
        Output = (),
    > + ::micro::__private::std::marker::Send {
        async move {}
    }
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    fn ticks(
        &self,
        upto: u32,
    ) -> impl Stream<Item = u32> + ::micro::__private::std::marker::Send;
    #[doc(hidden)]
    const __MICRO: &'static ::micro::__private::ServiceDescriptor = {
        use ::micro::__private::NoSchema as _;
        &::micro::__private::ServiceDescriptor {
            name: "quotes",
            version: 1u32,
            type_name: "Quotes",
            docs: "",
            methods: &[
                ::micro::__private::MethodDescriptor {
                    name: "quote",
                    kind: ::micro::__private::Kind::Unary,
                    idempotent: true,
                    access: ::micro::__private::Access::Domain,
                    http: ::micro::__private::Option::None,
                    timeout: ::micro::__private::Option::None,
                    docs: "",
                    request: ::micro::__private::Probe::<QuoteRequest>::TYPE,
                    reply: ::micro::__private::Probe::<Quote>::TYPE,
                    location: ::micro::__private::Location {
                        krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                        file: "",
                        line: 0u32,
                    },
                },
                ::micro::__private::MethodDescriptor {
                    name: "ping",
                    kind: ::micro::__private::Kind::Unary,
                    idempotent: false,
                    access: ::micro::__private::Access::Domain,
                    http: ::micro::__private::Option::None,
                    timeout: ::micro::__private::Option::None,
                    docs: "",
                    request: ::micro::__private::Probe::<()>::TYPE,
                    reply: ::micro::__private::Probe::<()>::TYPE,
                    location: ::micro::__private::Location {
                        krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                        file: "",
                        line: 0u32,
                    },
                },
                ::micro::__private::MethodDescriptor {
                    name: "ticks",
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
    #[doc(hidden)]
    const __MICRO_SERVED: ::micro::__private::Option<::micro::__private::Registration> = ::micro::__private::Option::None;
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
    fn __micro_dispatch(
        self: ::micro::__private::Arc<Self>,
        method: ::micro::__private::std::primitive::u16,
        mut call: ::micro::__private::Incoming,
    ) -> ::micro::__private::BoxFuture<'static, ::micro::__private::Outcome> {
        match method {
            0u16 => {
                ::micro::__private::run(async move {
                    let request = ::micro::__private::request(
                        const { ::micro::__private::codec::<QuoteRequest>().decode },
                        call.encoding,
                        call.body,
                    )?;
                    ::micro::__private::reply(
                        const { ::micro::__private::codec::<Quote>().encode },
                        const { ::micro::__private::error::<QuoteError>().into_status },
                        call.encoding,
                        ::micro::__private::require_send(
                                <Self as Quotes>::quote(&*self, request),
                            )
                            .await,
                    )
                })
            }
            1u16 => {
                ::micro::__private::run(async move {
                    ::micro::__private::reply(
                        const { ::micro::__private::answer::<()>().encode },
                        const {
                            ::micro::__private::error::<::micro::__private::Infallible>()
                                .into_status
                        },
                        call.encoding,
                        ::micro::__private::infallible(
                            ::micro::__private::require_send(
                                    <Self as Quotes>::ping(&*self),
                                )
                                .await,
                        ),
                    )
                })
            }
            2u16 => {
                ::micro::__private::run(async move {
                    let outbound = ::micro::__private::outbound::<
                        u32,
                    >(const { ::micro::__private::codec::<u32>().encode }, &mut call)?;
                    let request = ::micro::__private::request(
                        const { ::micro::__private::codec::<u32>().decode },
                        call.encoding,
                        call.body,
                    )?;
                    ::micro::__private::forward(
                            ::micro::__private::require_stream(
                                <Self as Quotes>::ticks(&*self, request),
                            ),
                            outbound,
                        )
                        .await
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
///Typed client of the service `quotes`.
#[derive(::micro::__private::std::clone::Clone, ::micro::__private::std::fmt::Debug)]
pub struct QuotesClient {
    channel: ::micro::__private::Channel,
}
#[automatically_derived]
impl ::micro::__private::std::convert::From<::micro::__private::Channel>
for QuotesClient {
    fn from(channel: ::micro::__private::Channel) -> Self {
        Self { channel }
    }
}
#[automatically_derived]
impl ::micro::__private::ServiceClient for QuotesClient {
    const SERVICE: &'static ::micro::__private::std::primitive::str = "quotes";
}
#[automatically_derived]
impl ::micro::__private::Inject for QuotesClient {
    async fn inject(
        from: &::micro::__private::Injector,
    ) -> ::micro::__private::Result<Self> {
        ::micro::__private::StdResult::Ok(
            <Self as ::micro::__private::std::convert::From<
                ::micro::__private::Channel,
            >>::from(::micro::__private::Injector::channel(from, "quotes")),
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
impl QuotesClient {
    ///The route `quotes.quote`.
    pub const QUOTE: ::micro::__private::Route<
        QuoteRequest,
        Quote,
        QuoteError,
        ::micro::__private::Idempotent,
    > = ::micro::__private::Route::new(
        "quotes",
        "quote",
        ::micro::__private::Kind::Unary,
        ::micro::__private::Encoder::One(const {
            ::micro::__private::codec::<QuoteRequest>().encode
        }),
        const { ::micro::__private::codec::<Quote>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<QuoteRequest>::TYPE,
                reply: ::micro::__private::Probe::<Quote>::TYPE,
            }
        },
    );
    ///The route `quotes.ping`.
    pub const PING: ::micro::__private::Route<
        (),
        (),
        ::micro::__private::Infallible,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "quotes",
        "ping",
        ::micro::__private::Kind::Unary,
        ::micro::__private::Encoder::One(const {
            ::micro::__private::codec::<()>().encode
        }),
        const { ::micro::__private::answer::<()>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<()>::TYPE,
                reply: ::micro::__private::Probe::<()>::TYPE,
            }
        },
    );
    ///The route `quotes.ticks`.
    pub const TICKS: ::micro::__private::Route<
        u32,
        (),
        ::micro::__private::Infallible,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "quotes",
        "ticks",
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
    ///Calls `quotes.quote`.
    #[inline]
    pub fn quote(
        &self,
        req: QuoteRequest,
    ) -> ::micro::__private::Call<
        '_,
        QuoteRequest,
        Quote,
        QuoteError,
        ::micro::__private::Idempotent,
    > {
        ::micro::__private::Call::new(&self.channel, Self::QUOTE, req)
    }
    ///Calls `quotes.ping`.
    #[inline]
    pub fn ping(
        &self,
    ) -> ::micro::__private::Call<
        '_,
        (),
        (),
        ::micro::__private::Infallible,
        ::micro::__private::Once,
    > {
        ::micro::__private::Call::new(&self.channel, Self::PING, ())
    }
    ///Calls `quotes.ticks`.
    #[inline]
    pub fn ticks(
        &self,
        upto: u32,
    ) -> ::micro::__private::StreamCall<'_, ::micro::__private::Streaming<u32>> {
        ::micro::__private::StreamCall::server(
            &self.channel,
            Self::TICKS,
            &upto,
            const { ::micro::__private::codec::<u32>().decode },
        )
    }
}
