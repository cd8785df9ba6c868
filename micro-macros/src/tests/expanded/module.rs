pub mod greeter {
    use super::*;
    #[allow(clippy::needless_pass_by_value, clippy::unused_async, clippy::unused_self)]
    pub async fn hello(name: String) -> String {
        name
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
    pub struct GreeterClient {
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
            String,
            String,
            ::micro::__private::Infallible,
            ::micro::__private::Once,
        > = ::micro::__private::Route::new(
            "greeter",
            "hello",
            ::micro::__private::Kind::Unary,
            ::micro::__private::Encoder::One(const {
                ::micro::__private::codec::<String>().encode
            }),
            const { ::micro::__private::answer::<String>().decode },
            {
                use ::micro::__private::NoSchema as _;
                ::micro::__private::schema::Contract {
                    request: ::micro::__private::Probe::<String>::TYPE,
                    reply: ::micro::__private::Probe::<String>::TYPE,
                }
            },
        );
        ///Calls `greeter.hello`.
        #[inline]
        pub fn hello(
            &self,
            name: String,
        ) -> ::micro::__private::Call<
            '_,
            String,
            String,
            ::micro::__private::Infallible,
            ::micro::__private::Once,
        > {
            ::micro::__private::Call::new(&self.channel, Self::HELLO, name)
        }
    }
    ///The service `greeter` as a value, to hand it to an app.
    #[derive(
        ::micro::__private::std::fmt::Debug,
        ::micro::__private::std::default::Default
    )]
    #[allow(dead_code, missing_copy_implementations, unnameable_types, unreachable_pub)]
    pub struct Service;
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
        impl ::micro::__private::Serve<__Contract> for Service
        where
            for<'micro> Service: ::micro::__private::Shared,
        {
            const DESCRIPTOR: &'static ::micro::__private::ServiceDescriptor = {
                use ::micro::__private::NoSchema as _;
                &::micro::__private::ServiceDescriptor {
                    name: "greeter",
                    version: 1u32,
                    type_name: "greeter",
                    docs: "",
                    methods: &[
                        ::micro::__private::MethodDescriptor {
                            name: "hello",
                            kind: ::micro::__private::Kind::Unary,
                            idempotent: false,
                            access: ::micro::__private::Access::Domain,
                            http: ::micro::__private::Option::None,
                            timeout: ::micro::__private::Option::None,
                            docs: "",
                            request: ::micro::__private::Probe::<String>::TYPE,
                            reply: ::micro::__private::Probe::<String>::TYPE,
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
                ::micro::__private::StdResult::Ok(Service)
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
                                const { ::micro::__private::codec::<String>().decode },
                                call.encoding,
                                call.body,
                            )?;
                            ::micro::__private::reply(
                                const { ::micro::__private::answer::<String>().encode },
                                const {
                                    ::micro::__private::error::<
                                        ::micro::__private::Infallible,
                                    >()
                                        .into_status
                                },
                                call.encoding,
                                ::micro::__private::infallible(
                                    ::micro::__private::require_send(self::hello(request)).await,
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
                    _ => {
                        ::micro::__private::run(async move {
                            ::micro::__private::no_method(&call)
                        })
                    }
                }
            }
        }
        ::micro::__private::inventory::submit! {
            ::micro::__private::register:: < Service, __Contract > ()
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
        const _: () = <::micro::__private::At>::not_result(
            ::micro::__private::Probe::<String>::IS_RESULT,
            "hello",
        );
    };
}
///Typed client of the service `greeter`.
#[allow(dead_code, unreachable_pub)]
pub type GreeterClient = greeter::GreeterClient;
