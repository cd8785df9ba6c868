//! Several arguments of one handler, which travel as a map by name.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serialize, Serializer};

use super::{Encoding, Wire};
use crate::status::Result;

/// A tuple of values that can travel.
pub trait WireArgs: Sized + Send + 'static {
    /// Writes the values as a map with these keys.
    fn serialize<S: Serializer>(&self, names: Names, serializer: S) -> Result<S::Ok, S::Error>;
    /// Reads them from a map; a value whose key is missing is an error unless it may be null.
    fn deserialize<'de, D: Deserializer<'de>>(names: Names, from: D) -> Result<Self, D::Error>;
}

/// The parameters' names, in order.
pub type Names = &'static [&'static str];

/// The functions of one tuple; like [`super::Codec`].
#[derive(Debug)]
pub struct ArgsCodec<T> {
    /// Decodes.
    pub decode: fn(Names, Encoding, &Bytes) -> Result<T>,
    /// Encodes.
    pub encode: fn(Names, Encoding, &T) -> Result<Bytes>,
}

/// The codec of a tuple of arguments.
pub const fn args<T: WireArgs>() -> ArgsCodec<T> {
    ArgsCodec { decode: decode::<T>, encode: encode::<T> }
}

fn encode<T: WireArgs>(names: Names, encoding: Encoding, value: &T) -> Result<Bytes> {
    super::encode_to_send(encoding, &Named(names, value))
}

struct Named<'a, T>(Names, &'a T);

impl<T: WireArgs> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.1.serialize(self.0, serializer)
    }
}

fn decode<T: WireArgs>(names: Names, encoding: Encoding, message: &Bytes) -> Result<T> {
    let seed = Seed::<T>(names, PhantomData);
    super::blob::within(message, || super::decode_seed(encoding, message, seed))
}

struct Seed<T>(Names, PhantomData<T>);

impl<'de, T: WireArgs> DeserializeSeed<'de> for Seed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(self.0, deserializer)
    }
}

struct Key(Names);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a parameter")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }

    fn visit_bytes<E: serde::de::Error>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| name.as_bytes() == key))
    }
}

/// A parameter that is missing decodes as serde's derive would: only an `Option` may be left out.
fn missing<'de, T: serde::Deserialize<'de>, E: serde::de::Error>(
    name: &'static str,
) -> Result<T, E> {
    struct Missing<E>(&'static str, PhantomData<E>);

    impl<'de, E: serde::de::Error> Deserializer<'de> for Missing<E> {
        type Error = E;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
            Err(E::missing_field(self.0))
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
            visitor.visit_none()
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    T::deserialize(Missing(name, PhantomData))
}

macro_rules! tuples {
    ($($($t:ident $i:tt)+;)*) => {$(
        impl<$($t: Wire),+> WireArgs for ($($t,)+) {
            fn serialize<S: Serializer>(&self, names: Names, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(names.len()))?;
                $(map.serialize_entry(names[$i], &self.$i)?;)+
                map.end()
            }

            fn deserialize<'de, S: Deserializer<'de>>(names: Names, from: S) -> Result<Self, S::Error> {
                struct Values<T>(Names, PhantomData<T>);

                impl<'de, $($t: Wire),+> Visitor<'de> for Values<($($t,)+)> {
                    type Value = ($($t,)+);

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a map with {}", self.0.join(", "))
                    }

                    #[allow(non_snake_case, reason = "the type parameters name the values too")]
                    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                        $(let mut $t: Option<$t> = None;)+
                        while let Some(key) = map.next_key_seed(Key(self.0))? {
                            match key {
                                $(Some($i) => $t = Some(map.next_value()?),)+
                                _ => drop(map.next_value::<IgnoredAny>()?),
                            }
                        }
                        Ok(($(match $t {
                            Some(value) => value,
                            None => missing(self.0[$i])?,
                        },)+))
                    }
                }

                from.deserialize_map(Values::<($($t,)+)>(names, PhantomData))
            }
        }
    )*};
}
tuples! {
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = &["a", "b"];

    #[test]
    fn arguments_travel_by_name_in_any_order() {
        for encoding in [Encoding::MessagePack, Encoding::Json] {
            let codec = args::<(i64, Option<String>)>();
            let bytes = (codec.encode)(NAMES, encoding, &(7, None)).expect("encodes");
            assert_eq!((codec.decode)(NAMES, encoding, &bytes).expect("decodes"), (7, None));
        }
        let swapped = Bytes::from_static(br#"{"b": "x", "extra": [1], "a": 1}"#);
        let codec = args::<(i64, Option<String>)>();
        let value = (codec.decode)(NAMES, Encoding::Json, &swapped).expect("decodes");
        assert_eq!(value, (1, Some("x".into())));
    }

    #[test]
    fn a_missing_argument_is_named_unless_it_is_optional() {
        let codec = args::<(i64, Option<String>)>();
        let decode = |text: &'static str| (codec.decode)(NAMES, Encoding::Json, &text.into());
        let value = decode(r#"{"a": 1}"#).expect("b may be missing");
        assert_eq!(value, (1, None));
        let error = decode(r#"{"b": "x"}"#).expect_err("a may not");
        assert!(error.message().contains("missing field `a`"), "{error}");
    }
}
