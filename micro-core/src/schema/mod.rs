//! The shape of messages: a constant description that `#[message]` writes, and the check of JSON
//! against it that can name the field.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap, VecDeque};

mod contract;
mod document;
mod mismatch;

pub use contract::Contract;
pub(crate) use contract::ContractDocument;
pub use document::{Document, Node, NodeField, NodeVariant};
pub use mismatch::Mismatch;

/// A type that can describe itself on the wire. `#[message]`, `#[event]` and `#[fault]` implement it.
pub trait Schema {
    /// The description.
    const TYPE: &'static Type;
}

/// The description of a type: constant, so that compile-time checks can read it.
#[derive(Debug)]
pub struct Type {
    /// The Rust name, without generic arguments.
    pub name: &'static str,
    /// Tells types apart, so that recursion ends; `None` where it cannot recurse.
    pub id: Option<TypeId>,
    /// What it looks like on the wire.
    pub shape: Shape,
}

/// A reference to a type that may be recursive.
pub type Lazy = fn() -> &'static Type;

/// What a type looks like on the wire.
#[derive(Debug)]
pub enum Shape {
    /// Anything: a type that implements serde's traits and no [`Schema`].
    Any,
    /// `bool`
    Bool,
    /// An enum: a string for a variant without fields, else `{"Variant": ..}`.
    Enum(&'static [Variant]),
    /// A floating-point number.
    Float,
    /// A whole number within these bounds.
    Int {
        /// The smallest value.
        min: i128,
        /// The largest value.
        max: i128,
    },
    /// A sequence.
    List(Lazy),
    /// String keys to values.
    Map(Lazy),
    /// A value or null.
    Option(Lazy),
    /// Text.
    String,
    /// Named fields.
    Struct(&'static [Field]),
    /// A fixed number of values in order.
    Tuple(&'static [Lazy]),
    /// `()` and structs without fields: null.
    Unit,
}

/// One field of a struct or variant.
#[derive(Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its type.
    pub ty: Lazy,
    /// Whether a message without it decodes.
    pub optional: bool,
    /// Its doc comment.
    pub docs: &'static str,
}

/// One variant of an enum.
#[derive(Debug)]
pub struct Variant {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it carries: [`Shape::Unit`], [`Shape::Struct`], [`Shape::Tuple`], or the one value itself.
    pub content: Content,
    /// Its doc comment.
    pub docs: &'static str,
}

/// What a variant carries.
#[derive(Debug)]
pub enum Content {
    /// Nothing.
    Unit,
    /// One unnamed value.
    Newtype(Lazy),
    /// Several unnamed values.
    Tuple(&'static [Lazy]),
    /// Named fields.
    Struct(&'static [Field]),
}

/// The type about which nothing is known.
pub const ANY: &Type = &Type { name: "any", id: None, shape: Shape::Any };

macro_rules! plain {
    ($($ty:ty => $name:expr, $shape:expr;)*) => {
        $(impl Schema for $ty {
            const TYPE: &'static Type = &Type { name: $name, id: None, shape: $shape };
        })*
    };
}
macro_rules! ints {
    ($($ty:ident)*) => { plain! { $($ty => stringify!($ty), Shape::Int {
        min: $ty::MIN as i128,
        max: $ty::MAX as i128,
    };)* } };
}
ints! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize }
plain! {
    bool => "bool", Shape::Bool;
    f32 => "f32", Shape::Float;
    f64 => "f64", Shape::Float;
    char => "char", Shape::String;
    String => "string", Shape::String;
    () => "()", Shape::Unit;
}
macro_rules! wrappers {
    ($($ty:ty => $name:literal, $shape:ident;)*) => {
        $(impl<T: Schema> Schema for $ty {
            const TYPE: &'static Type =
                &Type { name: $name, id: None, shape: Shape::$shape(|| T::TYPE) };
        })*
    };
}
wrappers! {
    Option<T> => "option", Option;
    Vec<T> => "list", List;
    VecDeque<T> => "list", List;
    std::collections::BTreeSet<T> => "list", List;
    std::collections::HashSet<T> => "list", List;
    BTreeMap<String, T> => "map", Map;
    HashMap<String, T> => "map", Map;
}
impl<T: Schema> Schema for Box<T> {
    const TYPE: &'static Type = T::TYPE;
}
macro_rules! tuples {
    ($($($t:ident)+;)*) => {
        $(impl<$($t: Schema),+> Schema for ($($t,)+) {
            const TYPE: &'static Type =
                &Type { name: "tuple", id: None, shape: Shape::Tuple(&[$(|| $t::TYPE),+]) };
        })*
    };
}
tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; }

#[cfg(test)]
mod tests;
