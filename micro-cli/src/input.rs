//! Input: JSON from the command line or the standard input, read and checked before anything is sent.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use micro_core::schema::{Document, Mismatch, Node};
use micro_core::transport::MAX_MESSAGE;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::failure::{Failure, Misfit};

/// Lines that are read ahead of the service.
const AHEAD: usize = 16;

/// JSON as the user wrote it: its digits and the order of its fields go to the service unchanged.
pub(crate) fn checked(
    target: &str,
    schema: &Document,
    text: Option<&str>,
    line: Option<u64>,
) -> Result<Bytes, Failure> {
    let misfit = |problems| {
        let (target, expected) = (target.to_owned(), schema.summary());
        Failure::Misfit(Box::new(Misfit { target, problems, expected, line }))
    };
    let Some(text) = text else {
        let problems = schema.check(&Value::Null);
        if problems.is_empty() {
            return Ok(Bytes::from_static(b"null"));
        }
        // Nothing given is enough where every field may be left out.
        if schema.check(&Value::Object(Default::default())).is_empty() {
            return Ok(Bytes::from_static(b"{}"));
        }
        let missing = Mismatch { path: String::new(), problem: "no JSON was given".to_owned() };
        return Err(misfit(vec![missing]));
    };
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let problem = format!("this is not JSON: {error}");
            return Err(misfit(vec![Mismatch { path: String::new(), problem }]));
        }
    };
    let problems = schema.check(&value);
    if problems.is_empty() {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    match named(schema, &value) {
        Some(argument) => Ok(argument.to_string().into()),
        None => Err(misfit(problems)),
    }
}

/// The only argument of a handler, written by name as several are: `{"upto": 3}` where 3 is taken. Its name
/// does not travel, so that any name will do; only where no object could be meant.
fn named<'a>(schema: &Document, value: &'a Value) -> Option<&'a Value> {
    let (Value::Object(entries), false) = (value, takes_objects(schema)) else { return None };
    let argument = entries.values().next().filter(|_| entries.len() == 1)?;
    schema.check(argument).is_empty().then_some(argument)
}

fn takes_objects(schema: &Document) -> bool {
    let mut node = &schema.root;
    // References and options end after as many steps as there are types, unless they are malformed.
    for _ in 0..=schema.types.len() + 1 {
        node = match node {
            Node::Option { of } => of,
            Node::Ref { name } => match schema.types.get(name) {
                Some(node) => node,
                None => return true,
            },
            Node::Any | Node::Enum { .. } | Node::Map { .. } | Node::Struct { .. } => return true,
            _ => return false,
        };
    }
    true
}

/// The text of an argument; `-` is all of the standard input.
pub(crate) fn argument(argument: Option<&str>) -> Result<Option<String>, Failure> {
    match argument {
        Some("-") => {
            let mut text = String::new();
            let most = MAX_MESSAGE as u64;
            io::stdin().lock().take(most + 1).read_to_string(&mut text)?;
            match text.len() as u64 > most {
                true => Err(too_long()),
                false => Ok(Some(text)),
            }
        }
        other => Ok(other.map(str::to_owned)),
    }
}

/// The lines of the standard input with their numbers, without the blank ones. Reading waits while the
/// service is behind.
pub(crate) fn lines() -> mpsc::Receiver<Result<(u64, String), Failure>> {
    let (send, receive) = mpsc::channel(AHEAD);
    // A thread of its own, not one of the runtime's: a read cannot be cancelled, and ends with the process.
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        for number in 1.. {
            let line = match next_line(&mut input) {
                Ok(None) => return,
                Ok(Some(line)) if line.trim().is_empty() => continue,
                Ok(Some(line)) => Ok((number, line)),
                Err(failure) => Err(failure),
            };
            let is_last = line.is_err();
            if send.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    receive
}

fn next_line(input: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let read = input.take(MAX_MESSAGE as u64 + 1).read_until(b'\n', &mut line)?;
    if read > MAX_MESSAGE {
        return Err(too_long());
    }
    let text = String::from_utf8(line);
    let text = text.map_err(|_| Failure::Plain("the standard input is not UTF-8".to_owned()))?;
    Ok((read > 0).then_some(text))
}

fn too_long() -> Failure {
    Failure::Plain(format!("a message of more than {MAX_MESSAGE} bytes cannot be sent"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use micro_core::schema::NodeField;

    use super::*;

    fn document(root: Node) -> Document {
        Document { root, types: BTreeMap::new() }
    }

    fn field(name: &str, ty: Node, optional: bool) -> NodeField {
        NodeField { name: name.to_owned(), ty, optional, docs: String::new() }
    }

    fn person() -> Document {
        document(Node::Struct { fields: vec![field("name", Node::String, false)] })
    }

    fn sent(schema: &Document, text: Option<&str>) -> Option<String> {
        let bytes = checked("a.b", schema, text, None).ok()?;
        Some(String::from_utf8(bytes.to_vec()).expect("UTF-8"))
    }

    #[test]
    fn what_fits_is_sent_as_it_was_written() {
        let schema = document(Node::Any);
        let text = r#"{"z": 18446744073709551616, "a": 1}"#;
        assert_eq!(sent(&schema, Some(text)).as_deref(), Some(text));
    }

    #[test]
    fn what_does_not_fit_names_the_field() {
        let failure = checked("greeter.hello", &person(), Some(r#"{"name": 5}"#), Some(3));
        let Err(Failure::Misfit(misfit)) = failure else { panic!("refused") };
        assert_eq!(misfit.problems[0].to_string(), "`name` expected a string, found 5");
        assert_eq!(misfit.expected, "{name: a string}");
        assert_eq!(misfit.line, Some(3));
        assert_eq!(sent(&person(), Some("{")), None);
    }

    #[test]
    fn nothing_given_is_null_or_an_object_without_fields() {
        assert_eq!(sent(&document(Node::Unit), None).as_deref(), Some("null"));
        let optional = vec![field("limit", Node::Float, true)];
        let optional = document(Node::Struct { fields: optional });
        assert_eq!(sent(&optional, None).as_deref(), Some("{}"));
        assert_eq!(sent(&person(), None), None);
    }

    #[test]
    fn a_single_plain_argument_may_be_named() {
        let number = document(Node::Int { min: 0, max: 255 });
        assert_eq!(sent(&number, Some("3")).as_deref(), Some("3"));
        assert_eq!(sent(&number, Some(r#"{"upto":3}"#)).as_deref(), Some("3"));
        assert_eq!(sent(&number, Some(r#"{"upto":300}"#)), None);
        assert_eq!(sent(&number, Some(r#"{"upto":3,"more":1}"#)), None);
        assert_eq!(sent(&person(), Some(r#"{"req":{"name":"Ann"}}"#)), None, "an object is meant");
    }

    #[test]
    fn a_malformed_schema_does_not_hang() {
        let node = Node::Ref { name: "A".into() };
        let looped = Document { root: node.clone(), types: [("A".into(), node)].into() };
        assert!(takes_objects(&looped));
    }

    #[test]
    fn lines_are_read_up_to_the_limit() {
        let mut input = &b"1\n\n2"[..];
        let mut read = Vec::new();
        while let Some(line) = next_line(&mut input).expect("UTF-8") {
            read.push(line);
        }
        assert_eq!(read, ["1\n", "\n", "2"]);
        assert!(next_line(&mut &vec![b'1'; MAX_MESSAGE + 1][..]).is_err());
        assert!(next_line(&mut &b"\xff\n"[..]).is_err());
    }
}
