//! Contracts: what a handler takes and gives as one side was built, and whether two sides fit.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hasher;

use serde::{Deserialize, Serialize};

use super::Type;
use super::document::{Document, Node, NodeField, NodeVariant};
use crate::hash::Fnv;

/// The types of a handler, as generated code knows them.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// The request, or one item of the request stream.
    pub request: &'static Type,
    /// The reply, or one item of the reply stream.
    pub reply: &'static Type,
}

/// A [`Contract`] as it travels.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct ContractDocument {
    request: Document,
    reply: Document,
}

/// Differences that are told, at most.
const MOST: usize = 3;
/// Characters of each.
const LONGEST: usize = 256;
/// Pairs of nodes that are compared: the other side's schema may be hostile, and what lies beyond fits.
const STEPS: usize = 10_000;
/// Levels that are compared, since comparing recurses.
const DEPTH: usize = 64;

impl From<Contract> for ContractDocument {
    fn from(contract: Contract) -> Self {
        let Contract { request, reply } = contract;
        Self { request: Document::of(request), reply: Document::of(reply) }
    }
}

impl ContractDocument {
    /// Equal for contracts with the same wire form, whatever their Rust names, docs and order of fields;
    /// never 0.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        for document in [&self.request, &self.reply] {
            Walk { document, seen: Vec::new(), hash: &mut hash }.node(&document.root);
        }
        hash.finish().max(1)
    }

    /// Why a client that was built from `self` cannot call a server that was built from `server`.
    pub(crate) fn misfit(&self, server: &Self) -> Option<String> {
        let request = Fit {
            writer: &self.request,
            reader: &server.request,
            sends: "this client sends",
            takes: "the server takes",
        };
        let reply = Fit {
            writer: &server.reply,
            reader: &self.reply,
            sends: "the server sends",
            takes: "this client takes",
        };
        let mut found = request.differences("request");
        found.extend(reply.differences("reply"));
        (!found.is_empty()).then(|| found.join("; "))
    }
}

/// Writes the structure of a document into a hash.
struct Walk<'a> {
    document: &'a Document,
    /// Named types in the order of their first mention, which stands for their names.
    seen: Vec<&'a str>,
    hash: &'a mut Fnv,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &'a Node) {
        match node {
            Node::Any => self.hash.write_u8(0),
            Node::Bool => self.hash.write_u8(1),
            Node::Float => self.hash.write_u8(2),
            Node::String => self.hash.write_u8(3),
            Node::Unit => self.hash.write_u8(4),
            Node::Int { min, max } => {
                self.hash.write_u8(5);
                self.hash.write(&min.to_le_bytes());
                self.hash.write(&max.to_le_bytes());
            }
            Node::List { of } => self.of(6, of),
            Node::Map { of } => self.of(7, of),
            Node::Option { of } => self.of(8, of),
            Node::Tuple { items } => {
                self.hash.write_u8(9);
                self.hash.write(&(items.len() as u32).to_le_bytes());
                items.iter().for_each(|item| self.node(item));
            }
            Node::Struct { fields } => {
                self.hash.write_u8(10);
                self.hash.write(&(fields.len() as u32).to_le_bytes());
                let by_name: BTreeMap<&str, &NodeField> =
                    fields.iter().map(|field| (field.name.as_str(), field)).collect();
                for (name, NodeField { ty, optional, .. }) in by_name {
                    self.name(name);
                    self.hash.write_u8(u8::from(*optional));
                    self.node(ty);
                }
            }
            Node::Enum { variants } => {
                self.hash.write_u8(11);
                self.hash.write(&(variants.len() as u32).to_le_bytes());
                let by_name: BTreeMap<&str, &NodeVariant> =
                    variants.iter().map(|variant| (variant.name.as_str(), variant)).collect();
                for (name, NodeVariant { content, .. }) in by_name {
                    self.name(name);
                    self.node(content);
                }
            }
            Node::Ref { name } => match self.seen.iter().position(|seen| seen == name) {
                Some(index) => {
                    self.hash.write_u8(12);
                    self.hash.write(&(index as u32).to_le_bytes());
                }
                None => {
                    self.seen.push(name);
                    self.node(self.document.resolve(node));
                }
            },
        }
    }

    fn of(&mut self, tag: u8, node: &'a Node) {
        self.hash.write_u8(tag);
        self.node(node);
    }

    fn name(&mut self, name: &str) {
        self.hash.write(&(name.len() as u32).to_le_bytes());
        self.hash.write(name.as_bytes());
    }
}

/// Whether everything that one side may write can be read by the other.
struct Fit<'a> {
    writer: &'a Document,
    reader: &'a Document,
    sends: &'static str,
    takes: &'static str,
}

/// What was found so far, and what was looked at.
#[derive(Default)]
struct Found<'a> {
    differences: Vec<String>,
    seen: HashSet<(&'a str, &'a str)>,
    steps: usize,
    depth: usize,
}

impl<'a> Fit<'a> {
    fn differences(&self, name: &str) -> Vec<String> {
        let mut found = Found::default();
        self.node(&self.writer.root, &self.reader.root, name, &mut found);
        found.differences
    }

    fn node(&self, writer: &'a Node, reader: &'a Node, path: &str, found: &mut Found<'a>) {
        if let (Node::Ref { name: writer }, Node::Ref { name: reader }) = (writer, reader)
            && !found.seen.insert((writer, reader))
        {
            return;
        }
        found.steps += 1;
        if found.differences.len() >= MOST || found.steps > STEPS || found.depth == DEPTH {
            return;
        }
        found.depth += 1;
        self.resolved(self.writer.resolve(writer), self.reader.resolve(reader), path, found);
        found.depth -= 1;
    }

    fn resolved(&self, writer: &'a Node, reader: &'a Node, path: &str, found: &mut Found<'a>) {
        match (writer, reader) {
            (Node::Any, _) | (_, Node::Any) => {}
            (Node::Bool, Node::Bool) | (Node::String, Node::String) | (Node::Unit, Node::Unit) => {}
            (Node::Float | Node::Int { .. }, Node::Float) => {}
            (Node::Int { min, max }, Node::Int { min: least, max: most })
                if min >= least && max <= most => {}
            (Node::Option { of }, Node::Option { of: reader }) => {
                self.node(of, reader, path, found)
            }
            (Node::Unit, Node::Option { .. }) => {}
            (writer, Node::Option { of }) => self.node(writer, of, path, found),
            (Node::List { of }, Node::List { of: reader }) => {
                self.node(of, reader, &format!("{path}[]"), found);
            }
            (Node::Map { of }, Node::Map { of: reader }) => {
                self.node(of, reader, &format!("{path}.*"), found);
            }
            (Node::Tuple { items }, Node::Tuple { items: readers })
                if items.len() == readers.len() =>
            {
                for (i, (item, reader)) in items.iter().zip(readers).enumerate() {
                    self.node(item, reader, &format!("{path}[{i}]"), found);
                }
            }
            (Node::Struct { fields }, Node::Struct { fields: readers }) => {
                self.fields(fields, readers, path, found);
            }
            (Node::Enum { variants }, Node::Enum { variants: readers }) => {
                self.variants(variants, readers, path, found);
            }
            (writer, reader) => {
                let (sent, taken) =
                    (self.writer.summarize(writer, 0), self.reader.summarize(reader, 0));
                self.differ(path, &sent, &taken, found);
            }
        }
    }

    fn differ(&self, path: &str, sent: &str, taken: &str, found: &mut Found<'a>) {
        // Part of it is the other side's words.
        let text = format!("`{path}`: {} {sent}, {} {taken}", self.sends, self.takes);
        let text = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        found.differences.push(text);
    }

    /// Fields that the reader does not know are skipped by it.
    fn fields(
        &self,
        writers: &'a [NodeField],
        readers: &'a [NodeField],
        path: &str,
        found: &mut Found<'a>,
    ) {
        for reader in readers {
            let path = format!("{path}.{}", reader.name);
            match writers.iter().find(|writer| writer.name == reader.name) {
                Some(writer) => self.node(&writer.ty, &reader.ty, &path, found),
                None if reader.optional => {}
                None => {
                    self.differ(&path, "nothing", &self.reader.summarize(&reader.ty, 0), found);
                }
            }
        }
    }

    fn variants(
        &self,
        writers: &'a [NodeVariant],
        readers: &'a [NodeVariant],
        path: &str,
        found: &mut Found<'a>,
    ) {
        for writer in writers {
            match readers.iter().find(|reader| reader.name == writer.name) {
                Some(reader) => {
                    let path = format!("{path}.{}", writer.name);
                    self.node(&writer.content, &reader.content, &path, found);
                }
                None => {
                    let names: Vec<_> = readers.iter().map(|r| r.name.as_str()).collect();
                    self.differ(path, &format!("`{}`", writer.name), &names.join(" or "), found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, ty: Node, optional: bool) -> NodeField {
        NodeField { name: name.into(), ty, optional, docs: String::new() }
    }

    fn document(fields: &[NodeField]) -> Document {
        let person = Node::Struct { fields: fields.to_vec() };
        let types = BTreeMap::from([("Person".to_owned(), person)]);
        Document { root: Node::Ref { name: "Person".into() }, types }
    }

    fn contract(fields: &[NodeField]) -> ContractDocument {
        ContractDocument { request: document(fields), reply: Document::default() }
    }

    const U8: Node = Node::Int { min: 0, max: 255 };
    const U32: Node = Node::Int { min: 0, max: u32::MAX as u64 };

    #[test]
    fn what_does_not_show_on_the_wire_has_no_fingerprint() {
        let one = contract(&[field("a", U8, false), field("b", Node::String, true)]);
        let mut other = contract(&[field("b", Node::String, true), field("a", U8, false)]);
        assert_eq!(one.fingerprint(), other.fingerprint());
        let Some(Node::Struct { mut fields }) = other.request.types.remove("Person") else {
            panic!("a struct");
        };
        fields[0].docs = "documented now".into();
        other.request.types.insert("Human".into(), Node::Struct { fields });
        other.request.root = Node::Ref { name: "Human".into() };
        assert_eq!(one.fingerprint(), other.fingerprint());
        let wider = contract(&[field("a", U32, false), field("b", Node::String, true)]);
        assert_ne!(one.fingerprint(), wider.fingerprint());
    }

    #[test]
    fn messages_may_grow_and_widen() {
        let old = contract(&[field("a", U8, false)]);
        let new = contract(&[field("a", U32, false), field("more", Node::String, true)]);
        assert_eq!(old.misfit(&new), None);
        assert_eq!(
            new.misfit(&old).as_deref(),
            Some(
                "`request.a`: this client sends a whole number from 0 to 4294967295, the server \
                 takes a whole number from 0 to 255"
            )
        );
    }

    #[test]
    fn what_one_side_needs_and_the_other_does_not_send_is_named() {
        let old = contract(&[field("a", U8, false)]);
        let new = contract(&[field("a", U8, false), field("b", Node::String, false)]);
        assert_eq!(
            old.misfit(&new).as_deref(),
            Some("`request.b`: this client sends nothing, the server takes a string")
        );
        // The other way the server skips what it does not know.
        assert_eq!(new.misfit(&old), None);
    }

    #[test]
    fn a_variant_that_the_reader_does_not_know_is_named() {
        let variant = |name: &str| NodeVariant {
            name: name.into(),
            content: Node::Unit,
            docs: String::new(),
        };
        let reply = |names: &[&str]| ContractDocument {
            reply: Document {
                root: Node::Enum { variants: names.iter().map(|name| variant(name)).collect() },
                types: BTreeMap::new(),
            },
            ..Default::default()
        };
        let (client, server) = (reply(&["Open"]), reply(&["Open", "Closed"]));
        assert_eq!(
            client.misfit(&server).as_deref(),
            Some("`reply`: the server sends `Closed`, this client takes Open")
        );
        assert_eq!(server.misfit(&client), None);
    }

    #[test]
    fn a_hostile_schema_takes_no_more_than_its_steps() {
        let reference = |name: &str| Node::Ref { name: name.into() };
        let list = |of: Node| Node::List { of: Box::new(of) };
        // The names of the two sides never stand at the same level, so that no pair is seen twice, and
        // each level has many fields.
        let wide = |of: &dyn Fn() -> Node| Node::Struct {
            fields: (0..50).map(|n| field(&n.to_string(), of(), false)).collect(),
        };
        let types = BTreeMap::from([("A".to_owned(), wide(&|| list(reference("A"))))]);
        let one = Document { root: reference("A"), types };
        let types = BTreeMap::from([("B".to_owned(), list(wide(&|| reference("B"))))]);
        let other = Document { root: wide(&|| reference("B")), types };
        let contract = |request| ContractDocument { request, reply: Document::default() };
        assert_eq!(contract(one).misfit(&contract(other)), None);
    }

    #[test]
    fn recursion_ends() {
        let tree = |leaf: Node| {
            let kids = Node::List { of: Box::new(Node::Ref { name: "Tree".into() }) };
            let fields = vec![field("leaf", leaf, false), field("kids", kids, false)];
            let types = BTreeMap::from([("Tree".to_owned(), Node::Struct { fields })]);
            let document = Document { root: Node::Ref { name: "Tree".into() }, types };
            ContractDocument { request: document.clone(), reply: document }
        };
        assert_eq!(tree(U8).misfit(&tree(U8)), None);
        let misfit = tree(U8).misfit(&tree(Node::String)).expect("differs");
        assert!(
            misfit.starts_with("`request.leaf`") && misfit.contains("`reply.leaf`"),
            "{misfit}"
        );
    }
}
