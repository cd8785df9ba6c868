//! What serde's attributes say about the shape of a type.

use syn::{Attribute, Expr, ExprLit, Lit};

use super::case::Case;
use crate::diag::Diag;
use crate::parse::args::{Arg, Args, Value};

/// What the attributes of a container, variant or field say.
#[derive(Default)]
pub(super) struct Said {
    /// `rename = ".."`
    pub(super) rename: Option<String>,
    /// `rename_all = ".."`
    pub(super) rename_all: Option<Case>,
    /// `rename_all_fields = ".."`
    pub(super) rename_all_fields: Option<Case>,
    /// `default`: it may be left out.
    pub(super) default: bool,
    /// `skip`: it does not travel.
    pub(super) skip: bool,
    /// `transparent`: its only field travels instead.
    pub(super) transparent: bool,
    /// `with` and the like: it travels in a form that cannot be seen here.
    pub(super) custom: bool,
    /// The container around it travels in a form that cannot be described.
    pub(super) opaque: bool,
}

impl Said {
    /// Reads all `#[serde(..)]` of one item.
    pub(super) fn read(attrs: &[Attribute]) -> Self {
        let mut said = Self::default();
        // serde reports its own errors.
        let mut ignored = Diag::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            for arg in Args::of(attr, &mut ignored).entries {
                said.entry(&arg);
            }
        }
        said
    }

    fn entry(&mut self, arg: &Arg) {
        let text = string(&arg.value);
        match arg.key.to_string().as_str() {
            "rename" => match text {
                Some(name) => self.rename = Some(name),
                // A name for each direction is no one name.
                None => self.opaque = true,
            },
            "rename_all" => self.rename_all = self.case(text),
            "rename_all_fields" => self.rename_all_fields = self.case(text),
            "default" | "skip_deserializing" => self.default = true,
            "skip" => self.skip = true,
            "transparent" => self.transparent = true,
            "with" | "serialize_with" | "deserialize_with" | "getter" => self.custom = true,
            "alias"
            | "borrow"
            | "bound"
            | "crate"
            | "deny_unknown_fields"
            | "expecting"
            | "skip_serializing"
            | "skip_serializing_if" => {}
            // flatten, tag, content, untagged, other, from, into, try_from, remote, and what is to come.
            _ => self.opaque = true,
        }
    }

    fn case(&mut self, rule: Option<String>) -> Option<Case> {
        let case = rule.as_deref().and_then(Case::parse);
        self.opaque |= case.is_none();
        case
    }
}

fn string(value: &Value) -> Option<String> {
    match value {
        Value::Expr(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Some(text.value()),
        _ => None,
    }
}
