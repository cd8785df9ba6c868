impl Greeter {
    /// Greets.
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn hello(&self, ctx: &Context, req: HelloRequest) -> Result<String, Refused> {
        Ok(req.name)
    }
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    async fn on(&self, order: OrderCreated) -> Result<()> {
        Ok(())
    }
    fn helper(&self) {}
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
///Typed client of the service `greeter`.
#[derive(::micro::__private::std::clone::Clone, ::micro::__private::std::fmt::Debug)]
pub(crate) struct GreeterClient {
    channel: ::micro::__private::Channel,
}
#[automatically_derived]
impl ::micro::__private::std::convert::From<::micro::__private::Channel>
for GreeterClient {
    fn from(channel: ::micro::__private::Channel) -> Self {
        Self { channel }
    }
}
#[automatically_derived]
impl ::micro::__private::ServiceClient for GreeterClient {
    const SERVICE: &'static ::micro::__private::std::primitive::str = "greeter";
}
#[automatically_derived]
impl ::micro::__private::Inject for GreeterClient {
    async fn inject(
        from: &::micro::__private::Injector,
    ) -> ::micro::__private::Result<Self> {
        ::micro::__private::StdResult::Ok(
            <Self as ::micro::__private::std::convert::From<
                ::micro::__private::Channel,
            >>::from(::micro::__private::Injector::channel(from, "greeter")),
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
impl GreeterClient {
    ///The route `greeter.hello`.
    pub const HELLO: ::micro::__private::Route<
        HelloRequest,
        String,
        Refused,
        ::micro::__private::Idempotent,
    > = ::micro::__private::Route::new(
        "greeter",
        "hello",
        ::micro::__private::Kind::Unary,
        ::micro::__private::Encoder::One(const {
            ::micro::__private::codec::<HelloRequest>().encode
        }),
        const { ::micro::__private::codec::<String>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: ::micro::__private::Probe::<HelloRequest>::TYPE,
                reply: ::micro::__private::Probe::<String>::TYPE,
            }
        },
    );
    ///The route `greeter.add`.
    pub const ADD: ::micro::__private::Route<
        (i64, i64),
        i64,
        ::micro::__private::Infallible,
        ::micro::__private::Once,
    > = ::micro::__private::Route::new(
        "greeter",
        "add",
        ::micro::__private::Kind::Unary,
        ::micro::__private::Encoder::named(
            &["a", "b"],
            ::micro::__private::args::<
                (
                    <i64 as ::micro::__private::Argument>::Type,
                    <i64 as ::micro::__private::Argument>::Type,
                ),
            >(),
        ),
        const { ::micro::__private::answer::<i64>().decode },
        {
            use ::micro::__private::NoSchema as _;
            ::micro::__private::schema::Contract {
                request: &::micro::__private::schema::Type {
                    name: "",
                    id: ::micro::__private::Option::None,
                    shape: ::micro::__private::schema::Shape::Struct(
                        &[
                            ::micro::__private::schema::Field {
                                name: "a",
                                ty: || ::micro::__private::Probe::<i64>::TYPE,
                                optional: false,
                                docs: "",
                            },
                            ::micro::__private::schema::Field {
                                name: "b",
                                ty: || ::micro::__private::Probe::<i64>::TYPE,
                                optional: false,
                                docs: "",
                            },
                        ],
                    ),
                },
                reply: ::micro::__private::Probe::<i64>::TYPE,
            }
        },
    );
    /// Greets.
    #[inline]
    pub fn hello(
        &self,
        req: HelloRequest,
    ) -> ::micro::__private::Call<
        '_,
        HelloRequest,
        String,
        Refused,
        ::micro::__private::Idempotent,
    > {
        ::micro::__private::Call::new(&self.channel, Self::HELLO, req)
    }
    ///Calls `greeter.add`.
    #[inline]
    pub fn add(
        &self,
        a: i64,
        b: i64,
    ) -> ::micro::__private::Call<
        '_,
        (i64, i64),
        i64,
        ::micro::__private::Infallible,
        ::micro::__private::Once,
    > {
        ::micro::__private::Call::new(&self.channel, Self::ADD, (a, b))
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
    impl ::micro::__private::Serve<__Contract> for Greeter
    where
        for<'micro> Greeter: ::micro::__private::Shared,
    {
        const DESCRIPTOR: &'static ::micro::__private::ServiceDescriptor = {
            use ::micro::__private::NoSchema as _;
            &::micro::__private::ServiceDescriptor {
                name: "greeter",
                version: 1u32,
                type_name: "Greeter",
                docs: "",
                methods: &[
                    ::micro::__private::MethodDescriptor {
                        name: "hello",
                        kind: ::micro::__private::Kind::Unary,
                        idempotent: true,
                        access: ::micro::__private::Access::Public,
                        http: ::micro::__private::Option::Some(::micro::__private::HttpBinding {
                            verb: "GET",
                            path: "/v1/hello/{name}",
                        }),
                        timeout: ::micro::__private::Option::Some(
                            ::micro::__private::Duration::from_millis(1000u64),
                        ),
                        docs: "Greets.",
                        request: ::micro::__private::Probe::<HelloRequest>::TYPE,
                        reply: ::micro::__private::Probe::<String>::TYPE,
                        location: ::micro::__private::Location {
                            krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                            file: "",
                            line: 0u32,
                        },
                    },
                    ::micro::__private::MethodDescriptor {
                        name: "add",
                        kind: ::micro::__private::Kind::Unary,
                        idempotent: false,
                        access: ::micro::__private::Access::Domain,
                        http: ::micro::__private::Option::None,
                        timeout: ::micro::__private::Option::None,
                        docs: "",
                        request: &::micro::__private::schema::Type {
                            name: "",
                            id: ::micro::__private::Option::None,
                            shape: ::micro::__private::schema::Shape::Struct(
                                &[
                                    ::micro::__private::schema::Field {
                                        name: "a",
                                        ty: || ::micro::__private::Probe::<i64>::TYPE,
                                        optional: false,
                                        docs: "",
                                    },
                                    ::micro::__private::schema::Field {
                                        name: "b",
                                        ty: || ::micro::__private::Probe::<i64>::TYPE,
                                        optional: false,
                                        docs: "",
                                    },
                                ],
                            ),
                        },
                        reply: ::micro::__private::Probe::<i64>::TYPE,
                        location: ::micro::__private::Location {
                            krate: ::micro::__private::std::env!("CARGO_PKG_NAME"),
                            file: "",
                            line: 0u32,
                        },
                    },
                ],
                subscriptions: &[
                    ::micro::__private::SubscriptionDescriptor {
                        handler: "on",
                        pattern: "orders.*",
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
                emits: &[::micro::__private::event::<OrderCreated>().topic],
                interceptors: &[
                    ::micro::__private::Applied::of::<
                        (trace),
                    >(::micro::__private::Filter::Only(&["add"])),
                ],
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
            ::micro::__private::constructor::<Greeter>()(from).await
        }
        fn dispatch(
            self: ::micro::__private::Arc<Self>,
            method: ::micro::__private::std::primitive::u16,
            mut call: ::micro::__private::Incoming,
        ) -> ::micro::__private::BoxFuture<'static, ::micro::__private::Outcome> {
            match method {
                0u16 => {
                    ::micro::__private::run(async move {
                        let request = ::micro::__private::request(
                            const { ::micro::__private::codec::<HelloRequest>().decode },
                            call.encoding,
                            call.body,
                        )?;
                        ::micro::__private::reply(
                            const { ::micro::__private::codec::<String>().encode },
                            const { ::micro::__private::error::<Refused>().into_status },
                            call.encoding,
                            ::micro::__private::require_send(
                                    <Self>::hello(
                                        &*self,
                                        ::micro::__private::from_context::<
                                            Context,
                                        >()(&call.context)?,
                                        request,
                                    ),
                                )
                                .await,
                        )
                    })
                }
                1u16 => {
                    ::micro::__private::run(async move {
                        let (argument0, argument1) = ::micro::__private::arguments(
                            const {
                                ::micro::__private::args::<
                                    (
                                        <i64 as ::micro::__private::Argument>::Type,
                                        <i64 as ::micro::__private::Argument>::Type,
                                    ),
                                >()
                                    .decode
                            },
                            &["a", "b"],
                            call.encoding,
                            call.body,
                        )?;
                        ::micro::__private::reply(
                            const { ::micro::__private::answer::<i64>().encode },
                            const {
                                ::micro::__private::error::<
                                    ::micro::__private::Infallible,
                                >()
                                    .into_status
                            },
                            call.encoding,
                            ::micro::__private::infallible(
                                ::micro::__private::require_send(
                                        <Self>::add(&*self, argument0, argument1),
                                    )
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
                                    <Result<()> as ::micro::__private::Fallible>::Err,
                                >()
                                    .into_status
                            },
                            call.encoding,
                            ::micro::__private::require_send(<Self>::on(&*self, event))
                                .await,
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
        ::micro::__private::register:: < Greeter, __Contract > ()
    }
};
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
    const _: () = <::micro::__private::At>::path_parameter(
        "hello",
        "name",
        1usize,
        "req",
        "HelloRequest",
        ::micro::__private::Probe::<HelloRequest>::TYPE,
    );
    const _: () = <::micro::__private::At>::not_result(
        ::micro::__private::Probe::<i64>::IS_RESULT,
        "add",
    );
    const _: () = <::micro::__private::At>::topic(
        "on",
        "orders.*",
        ::micro::__private::event::<OrderCreated>().topic,
        "OrderCreated",
    );
    const _: () = <::micro::__private::At>::interceptor(
        "greeter",
        &[
            ::micro::__private::Applied::of::<
                (trace),
            >(::micro::__private::Filter::Only(&["add"])),
        ],
        &[],
        0usize,
    );
};
