#[derive(
    ::micro::__private::serde::Serialize,
    ::micro::__private::serde::Deserialize,
    ::micro::__private::Schema,
)]
#[serde(crate = "::micro::__private::serde")]
pub struct OrderCreated {
    id: u64,
    customer: String,
}
#[automatically_derived]
impl ::micro::__private::Event for OrderCreated {
    const TOPIC: &'static ::micro::__private::std::primitive::str = "orders.created";
    fn key(&self) -> ::micro::__private::Option<::micro::__private::String> {
        ::micro::__private::Option::Some(
            ::micro::__private::event_key(
                <::micro::__private::Here>::field(&self.customer),
            ),
        )
    }
}
