//! Doc comments as text.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The doc comment of an item: its lines, without the space after `///`.
pub(crate) fn text(attrs: &[Attribute]) -> String {
    let mut text = String::new();
    for line in attrs.iter().filter_map(line) {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line));
        text.push('\n');
    }
    text.trim().to_owned()
}

fn line(attr: &Attribute) -> Option<String> {
    match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            // `include_str!`: known only later.
            _ => None,
        },
        _ => None,
    }
}
