//! The schema says what serde does.
#![allow(dead_code)]

use std::collections::BTreeMap;

use micro::__private::schema::Document;
use micro::Schema;
use micro::prelude::*;

fn summary<T: Schema>() -> String {
    Document::of(T::TYPE).summary()
}

#[message]
#[serde(rename_all = "camelCase")]
struct Renamed {
    unit_price: u8,
    #[serde(rename = "x")]
    other: String,
    #[serde(skip)]
    hidden: u8,
    #[serde(default)]
    with_default: bool,
    maybe: Option<String>,
    #[cfg(any())]
    never: Nothing,
    r#type: bool,
}

#[message]
#[serde(default)]
#[derive(Default)]
struct AllOptional {
    a: bool,
    b: bool,
}

#[message]
struct Wrapper(Vec<u8>);

#[message]
struct Two(bool, String);

#[message]
struct Nothing2;

#[message]
struct Page<T> {
    items: Vec<T>,
    next: Option<Box<Page<T>>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Plain;

#[message]
struct WithPlain {
    plain: Plain,
    map: BTreeMap<String, bool>,
}

#[message]
#[serde(rename_all = "snake_case", rename_all_fields = "UPPERCASE")]
enum Choice {
    VeryNew,
    One(u8),
    Named {
        a: bool,
    },
    #[serde(skip)]
    Hidden,
}

#[message]
#[serde(tag = "kind")]
enum Tagged {
    A { a: bool },
}

#[message]
struct Flat {
    #[serde(flatten)]
    inner: BTreeMap<String, bool>,
}

#[message]
struct Custom {
    #[serde(with = "text")]
    number: bool,
}

mod text {
    pub fn serialize<S: serde::Serializer>(_: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("x")
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        serde::Deserialize::deserialize(from).map(|_: String| true)
    }
}

#[derive(micro::Schema, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Transparent {
    only: bool,
}

#[test]
fn serde_attributes_are_honoured() {
    assert_eq!(
        summary::<Renamed>(),
        "{unitPrice: a whole number from 0 to 255, x: a string, withDefault?: true or false, \
         maybe?: a string or null, type: true or false}"
    );
    assert_eq!(summary::<AllOptional>(), "{a?: true or false, b?: true or false}");
    assert_eq!(summary::<Wrapper>(), "[a whole number from 0 to 255]");
    assert_eq!(summary::<Two>(), "[true or false, a string]");
    assert_eq!(summary::<Nothing2>(), "null");
    assert_eq!(summary::<Choice>(), r#""very_new" or "one" or "named""#);
    assert_eq!(summary::<Transparent>(), "true or false");
}

#[test]
fn what_cannot_be_described_is_anything() {
    assert_eq!(summary::<Tagged>(), "any value");
    assert_eq!(summary::<Flat>(), "any value");
    assert_eq!(summary::<Custom>(), "{number: any value}");
    assert_eq!(summary::<WithPlain>(), "{plain: any value, map: {key: ..}}");
}

#[test]
fn generic_and_recursive_types_have_one_schema_for_each_type() {
    let of_bool = Document::of(<Page<bool>>::TYPE);
    assert_eq!(of_bool.types.len(), 1);
    assert_eq!(of_bool.summary(), "{items: [..], next?: .. or null}");
    assert_ne!(of_bool, Document::of(<Page<u8>>::TYPE));
}

#[event("orders.placed", key = customer.name)]
struct Placed {
    customer: Customer,
}

#[message]
struct Customer {
    name: String,
}

#[test]
fn an_event_names_its_topic_and_key() {
    use micro::Event;
    let placed = Placed { customer: Customer { name: "ann".into() } };
    assert_eq!(Placed::TOPIC, "orders.placed");
    assert_eq!(placed.key().as_deref(), Some("ann"));
}
