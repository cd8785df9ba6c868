//! A schema as it travels between processes, and as people read it.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Content, Field, Lazy, Shape, Type};

/// A schema as it travels: every named type once, references by name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Document {
    /// The type that the document describes.
    pub root: Node,
    /// The named types that it mentions.
    pub types: BTreeMap<String, Node>,
}

/// One type of a [`Document`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Node {
    /// Anything.
    #[default]
    Any,
    /// true or false.
    Bool,
    /// An enum.
    Enum {
        /// Its variants in order.
        variants: Vec<NodeVariant>,
    },
    /// A floating-point number.
    Float,
    /// A whole number.
    Int {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: u64,
    },
    /// A sequence.
    List {
        /// What it holds.
        of: Box<Node>,
    },
    /// String keys to values.
    Map {
        /// What it holds.
        of: Box<Node>,
    },
    /// A value or null.
    Option {
        /// The value.
        of: Box<Node>,
    },
    /// A named type, found in [`Document::types`].
    Ref {
        /// Its name.
        name: String,
    },
    /// Text.
    String,
    /// Named fields.
    Struct {
        /// Its fields in order.
        fields: Vec<NodeField>,
    },
    /// A fixed number of values.
    Tuple {
        /// Their types in order.
        items: Vec<Node>,
    },
    /// null
    Unit,
}

/// A field of a [`Node::Struct`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NodeField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Node,
    /// Whether it may be left out.
    pub optional: bool,
    /// Its doc comment.
    pub docs: String,
}

/// A variant of a [`Node::Enum`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct NodeVariant {
    /// Its name.
    pub name: String,
    /// What it carries; [`Node::Unit`] for nothing.
    pub content: Node,
    /// Its doc comment.
    pub docs: String,
}

impl Document {
    /// The document of a constant description.
    pub fn of(ty: &'static Type) -> Self {
        let mut writer = Writer::default();
        let root = writer.node(ty);
        Self { root, types: writer.types }
    }

    /// One line that shows the type to a person, e.g. `{name: string, count?: u32}`.
    pub fn summary(&self) -> String {
        self.summarize(&self.root, 0)
    }

    pub(super) fn resolve<'a>(&'a self, node: &'a Node) -> &'a Node {
        match node {
            Node::Ref { name } => self.types.get(name).unwrap_or(&Node::Any),
            node => node,
        }
    }

    pub(super) fn summarize(&self, node: &Node, depth: usize) -> String {
        if depth > 2 {
            return "..".into();
        }
        match node {
            Node::Any => "any value".into(),
            Node::Bool => "true or false".into(),
            Node::Float => "a number".into(),
            Node::Int { min, max } => match (*min, *max) {
                (i64::MIN, _) | (_, u64::MAX) => "a whole number".into(),
                (min, max) => format!("a whole number from {min} to {max}"),
            },
            Node::String => "a string".into(),
            Node::Unit => "null".into(),
            Node::List { of } => format!("[{}]", self.summarize(of, depth + 1)),
            Node::Map { of } => format!("{{key: {}}}", self.summarize(of, depth + 1)),
            Node::Option { of } => format!("{} or null", self.summarize(of, depth)),
            Node::Ref { .. } => self.summarize(self.resolve(node), depth + 1),
            Node::Tuple { items } => {
                let items: Vec<_> = items.iter().map(|i| self.summarize(i, depth + 1)).collect();
                format!("[{}]", items.join(", "))
            }
            Node::Struct { fields } => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|f| {
                        let mark = if f.optional { "?" } else { "" };
                        format!("{}{mark}: {}", f.name, self.summarize(&f.ty, depth + 1))
                    })
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
            Node::Enum { variants } => {
                let names: Vec<_> = variants.iter().map(|v| format!("\"{}\"", v.name)).collect();
                names.join(" or ")
            }
        }
    }
}

#[derive(Default)]
struct Writer {
    types: BTreeMap<String, Node>,
    names: HashMap<TypeId, String>,
}

impl Writer {
    fn node(&mut self, ty: &'static Type) -> Node {
        let Some(id) = ty.id else { return self.shape(&ty.shape) };
        if let Some(name) = self.names.get(&id) {
            return Node::Ref { name: name.clone() };
        }
        let mut name = ty.name.to_owned();
        while self.types.contains_key(&name) {
            name.push('_');
        }
        self.names.insert(id, name.clone());
        self.types.insert(name.clone(), Node::Any);
        let node = self.shape(&ty.shape);
        self.types.insert(name.clone(), node);
        Node::Ref { name }
    }

    fn shape(&mut self, shape: &'static Shape) -> Node {
        match shape {
            Shape::Any => Node::Any,
            Shape::Bool => Node::Bool,
            Shape::Float => Node::Float,
            Shape::Int { min, max } => Node::Int {
                min: i64::try_from(*min).unwrap_or(i64::MIN),
                max: u64::try_from(*max).unwrap_or(u64::MAX),
            },
            Shape::String => Node::String,
            Shape::Unit => Node::Unit,
            Shape::List(of) => Node::List { of: Box::new(self.node(of())) },
            Shape::Map(of) => Node::Map { of: Box::new(self.node(of())) },
            Shape::Option(of) => Node::Option { of: Box::new(self.node(of())) },
            Shape::Tuple(items) => Node::Tuple { items: self.nodes(items) },
            Shape::Struct(fields) => Node::Struct { fields: self.fields(fields) },
            Shape::Enum(variants) => Node::Enum {
                variants: variants
                    .iter()
                    .map(|v| NodeVariant {
                        name: v.name.to_owned(),
                        content: self.content(&v.content),
                        docs: v.docs.to_owned(),
                    })
                    .collect(),
            },
        }
    }

    fn content(&mut self, content: &'static Content) -> Node {
        match content {
            Content::Unit => Node::Unit,
            Content::Newtype(ty) => self.node(ty()),
            Content::Tuple(items) => Node::Tuple { items: self.nodes(items) },
            Content::Struct(fields) => Node::Struct { fields: self.fields(fields) },
        }
    }

    fn nodes(&mut self, items: &'static [Lazy]) -> Vec<Node> {
        items.iter().map(|ty| self.node(ty())).collect()
    }

    fn fields(&mut self, fields: &'static [Field]) -> Vec<NodeField> {
        fields
            .iter()
            .map(|f| NodeField {
                name: f.name.to_owned(),
                ty: self.node((f.ty)()),
                optional: f.optional || matches!((f.ty)().shape, Shape::Option(_)),
                docs: f.docs.to_owned(),
            })
            .collect()
    }
}
