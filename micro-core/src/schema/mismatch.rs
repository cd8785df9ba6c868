//! JSON against a schema: what does not fit, by the path of the value.

use serde_json::Value;

use super::document::{Document, Node, NodeField, NodeVariant};

impl Document {
    /// Everything about `value` that does not fit, each with the path of the value it is about.
    pub fn check(&self, value: &Value) -> Vec<Mismatch> {
        let mut found = Vec::new();
        self.check_node(&self.root, value, &mut String::new(), 0, &mut found);
        found
    }

    fn check_node(
        &self,
        node: &Node,
        value: &Value,
        path: &mut String,
        depth: usize,
        found: &mut Vec<Mismatch>,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        let node = self.resolve(node);
        let fits = match (node, value) {
            (Node::Any, _) | (Node::Unit, Value::Null) | (Node::Bool, Value::Bool(_)) => true,
            (Node::String, Value::String(_)) | (Node::Float, Value::Number(_)) => true,
            (Node::Int { min, max }, Value::Number(n)) => match (n.as_u64(), n.as_i64()) {
                (Some(n), _) => n <= *max,
                (None, Some(n)) => n >= *min,
                (None, None) => false,
            },
            (Node::Option { .. }, Value::Null) => true,
            (Node::Option { of }, value) => {
                return self.check_node(of, value, path, depth + 1, found);
            }
            (Node::List { of }, Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    within(path, &format!("[{i}]"), |path| {
                        self.check_node(of, item, path, depth + 1, found);
                    });
                }
                true
            }
            (Node::Tuple { items: types }, Value::Array(items)) if types.len() == items.len() => {
                for (i, (ty, item)) in types.iter().zip(items).enumerate() {
                    within(path, &format!("[{i}]"), |path| {
                        self.check_node(ty, item, path, depth + 1, found);
                    });
                }
                true
            }
            (Node::Map { of }, Value::Object(entries)) => {
                for (key, item) in entries {
                    within(path, &format!(".{key}"), |path| {
                        self.check_node(of, item, path, depth + 1, found);
                    });
                }
                true
            }
            (Node::Struct { fields }, Value::Object(entries)) => {
                self.check_fields(fields, entries, path, depth, found);
                true
            }
            (Node::Enum { variants }, value) => {
                return self.check_enum(variants, value, path, depth, found);
            }
            _ => false,
        };
        if !fits {
            let expected = self.summarize(node, 0);
            found.push(Mismatch::new(path, format!("expected {expected}, found {}", kind(value))));
        }
    }

    fn check_fields(
        &self,
        fields: &[NodeField],
        entries: &serde_json::Map<String, Value>,
        path: &mut String,
        depth: usize,
        found: &mut Vec<Mismatch>,
    ) {
        for field in fields {
            within(path, &format!(".{}", field.name), |path| match entries.get(&field.name) {
                Some(value) => self.check_node(&field.ty, value, path, depth + 1, found),
                None if field.optional => {}
                None => {
                    let expected = self.summarize(&field.ty, 0);
                    found.push(Mismatch::new(path, format!("is missing; expected {expected}")));
                }
            });
        }
        for key in entries.keys().filter(|key| fields.iter().all(|f| f.name != **key)) {
            let names = fields.iter().map(|f| f.name.as_str());
            let hint = match crate::text::nearest(key, names) {
                Some(name) => format!("is not a field; did you mean `{name}`?"),
                None => "is not a field".into(),
            };
            within(path, &format!(".{key}"), |path| found.push(Mismatch::new(path, hint)));
        }
    }

    fn check_enum(
        &self,
        variants: &[NodeVariant],
        value: &Value,
        path: &mut String,
        depth: usize,
        found: &mut Vec<Mismatch>,
    ) {
        let (name, content) = match value {
            Value::String(name) => (name, &Value::Null),
            Value::Object(entries) if entries.len() == 1 => match entries.iter().next() {
                Some((name, content)) => (name, content),
                None => return,
            },
            other => {
                let names: Vec<_> = variants.iter().map(|v| v.name.as_str()).collect();
                let text = format!("expected one of {}, found {}", names.join(", "), kind(other));
                return found.push(Mismatch::new(path, text));
            }
        };
        match variants.iter().find(|v| v.name == *name) {
            Some(variant) => within(path, &format!(".{name}"), |path| {
                self.check_node(&variant.content, content, path, depth + 1, found);
            }),
            None => {
                let names = variants.iter().map(|v| v.name.as_str());
                let hint = crate::text::nearest(name, names)
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                found.push(Mismatch::new(path, format!("has no variant `{name}`{hint}")));
            }
        }
    }
}

/// One thing about a value that does not fit its schema.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// Where, e.g. `items[2].sku`; empty for the value itself.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl Mismatch {
    fn new(path: &str, problem: impl Into<String>) -> Self {
        Self { path: path.trim_start_matches('.').to_owned(), problem: problem.into() }
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.problem);
        }
        write!(f, "`{}` {}", self.path, self.problem)
    }
}

/// Deeper values are left to the decoder, which has the same bound.
const MAX_DEPTH: usize = 64;

fn within(path: &mut String, step: &str, f: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push_str(step);
    f(path);
    path.truncate(length);
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) if s.chars().count() <= 32 => format!("{s:?}"),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}
