const _: () = {
    #[allow(unused_imports)]
    use ::micro::__private::NoSchema as _;
    #[automatically_derived]
    impl<T> ::micro::__private::Schema for Shape<T>
    where
        T: ::micro::__private::Schema + 'static,
    {
        const TYPE: &'static ::micro::__private::schema::Type = &::micro::__private::schema::Type {
            name: "Shape",
            id: ::micro::__private::Option::Some(
                ::micro::__private::TypeId::of::<Self>(),
            ),
            shape: ::micro::__private::schema::Shape::Enum(
                &[
                    ::micro::__private::schema::Variant {
                        name: "nothing",
                        content: ::micro::__private::schema::Content::Unit,
                        docs: "Nothing.",
                    },
                    ::micro::__private::schema::Variant {
                        name: "one",
                        content: ::micro::__private::schema::Content::Newtype(|| {
                            ::micro::__private::Probe::<T>::TYPE
                        }),
                        docs: "",
                    },
                    ::micro::__private::schema::Variant {
                        name: "both",
                        content: ::micro::__private::schema::Content::Tuple(
                            &[
                                || ::micro::__private::Probe::<u8>::TYPE,
                                || ::micro::__private::Probe::<u8>::TYPE,
                            ],
                        ),
                        docs: "",
                    },
                    ::micro::__private::schema::Variant {
                        name: "named",
                        content: ::micro::__private::schema::Content::Struct(
                            &[
                                ::micro::__private::schema::Field {
                                    name: "a",
                                    ty: || ::micro::__private::Probe::<bool>::TYPE,
                                    optional: true,
                                    docs: "",
                                },
                            ],
                        ),
                        docs: "",
                    },
                ],
            ),
        };
    }
};
