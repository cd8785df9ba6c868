use serde_json::{Value, json};

use super::*;

struct Tree;
impl Schema for Tree {
    const TYPE: &'static Type = &Type {
        name: "Tree",
        id: Some(TypeId::of::<Self>()),
        shape: Shape::Struct(&[
            Field { name: "label", ty: || String::TYPE, optional: false, docs: "" },
            Field { name: "size", ty: || u8::TYPE, optional: true, docs: "" },
            Field { name: "kids", ty: || <Vec<Tree>>::TYPE, optional: true, docs: "" },
        ]),
    };
}

fn problems(value: Value) -> Vec<String> {
    Document::of(Tree::TYPE).check(&value).iter().map(Mismatch::to_string).collect()
}

#[test]
fn a_fitting_value_has_no_mismatch() {
    assert_eq!(problems(json!({"label": "a", "kids": [{"label": "b", "size": 3}]})), [""; 0]);
}

#[test]
fn a_mismatch_names_the_path() {
    assert_eq!(problems(json!({"label": 5})), ["`label` expected a string, found 5"]);
    assert_eq!(problems(json!({})), ["`label` is missing; expected a string"]);
    assert_eq!(
        problems(json!({"label": "a", "kids": [{"label": "b", "size": 300}]})),
        ["`kids[0].size` expected a whole number from 0 to 255, found 300"]
    );
    assert_eq!(
        problems(json!({"label": "a", "sise": 1})),
        ["`sise` is not a field; did you mean `size`?"]
    );
    assert_eq!(problems(json!(7))[0].split(',').count(), 4);
}

#[test]
fn recursion_becomes_a_reference() {
    let document = Document::of(Tree::TYPE);
    assert_eq!(document.types.len(), 1);
    assert_eq!(document.root, Node::Ref { name: "Tree".into() });
    let json = serde_json::to_string(&document).expect("serializes");
    assert_eq!(serde_json::from_str::<Document>(&json).expect("reads back"), document);
}
