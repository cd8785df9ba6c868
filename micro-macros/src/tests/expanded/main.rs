fn main() -> ::micro::__private::std::process::ExitCode {
    #[allow(clippy::unused_async)]
    async fn main() -> micro::Result<()> {
        micro::run().await
    }
    ::micro::__private::block_on(
        {
            const _: &[&::micro::__private::ServiceDescriptor] = {
                const __SERVICES: &[&::micro::__private::ServiceDescriptor] = &[
                    const {
                        <::micro::__private::At>::served(
                            <PriceList as Quotes>::__MICRO_SERVED,
                            "PriceList",
                            "Quotes",
                        )
                    }
                        .descriptor,
                    ::micro::__private::register::<Orders, _>().descriptor,
                    ::micro::__private::register::<greeter::Service, _>().descriptor,
                ];
                const __EXTERNAL: &[&::micro::__private::std::primitive::str] = &[
                    "payments.*",
                ];
                const __SURVEY: ::micro::__private::check::Survey = ::micro::__private::check::Survey::of(
                    __SERVICES,
                );
                const _: () = <::micro::__private::At>::app(
                    &__SURVEY,
                    __SERVICES,
                    __EXTERNAL,
                    0usize,
                );
                const _: () = <::micro::__private::At>::app(
                    &__SURVEY,
                    __SERVICES,
                    __EXTERNAL,
                    1usize,
                );
                const _: () = <::micro::__private::At>::app(
                    &__SURVEY,
                    __SERVICES,
                    __EXTERNAL,
                    2usize,
                );
                __SERVICES
            };
            ::micro::__private::Option::Some(|| {
                ::micro::__private::std::vec![
                    const { < ::micro::__private::At > ::served:: < > (< PriceList as
                    Quotes > ::__MICRO_SERVED, "PriceList", "Quotes") },
                    ::micro::__private::register:: < Orders, _ > (),
                    ::micro::__private::register:: < greeter::Service, _ > ()
                ]
            })
        },
        main(),
    )
}
