//! serde's `rename_all`, repeated: the schema has to say the names that serde writes.

/// One of serde's rules.
#[derive(Clone, Copy)]
pub(super) enum Case {
    Camel,
    Kebab,
    Lower,
    Pascal,
    ScreamingKebab,
    ScreamingSnake,
    Snake,
    Upper,
}

impl Case {
    /// The rule that `rename_all = ".."` names.
    pub(super) fn parse(rule: &str) -> Option<Self> {
        Some(match rule {
            "camelCase" => Self::Camel,
            "kebab-case" => Self::Kebab,
            "lowercase" => Self::Lower,
            "PascalCase" => Self::Pascal,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "snake_case" => Self::Snake,
            "UPPERCASE" => Self::Upper,
            _ => return None,
        })
    }

    /// Applied to a field, whose name is in snake case.
    pub(super) fn field(self, name: &str) -> String {
        match self {
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => crate::lower::pascal(name),
            Self::Camel => first_small(&crate::lower::pascal(name)),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// Applied to a variant, whose name is in Pascal case.
    pub(super) fn variant(self, name: &str) -> String {
        match self {
            Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => first_small(name),
            Self::Snake => separated(name),
            Self::ScreamingSnake => separated(name).to_ascii_uppercase(),
            Self::Kebab => separated(name).replace('_', "-"),
            Self::ScreamingKebab => separated(name).to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn first_small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

fn separated(name: &str) -> String {
    let mut separated = String::new();
    for (i, letter) in name.char_indices() {
        if i > 0 && letter.is_uppercase() {
            separated.push('_');
        }
        separated.push(letter.to_ascii_lowercase());
    }
    separated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_serde() {
        let cases = [
            ("camelCase", "unitPrice", "veryNew"),
            ("kebab-case", "unit-price", "very-new"),
            ("lowercase", "unit_price", "verynew"),
            ("PascalCase", "UnitPrice", "VeryNew"),
            ("SCREAMING-KEBAB-CASE", "UNIT-PRICE", "VERY-NEW"),
            ("SCREAMING_SNAKE_CASE", "UNIT_PRICE", "VERY_NEW"),
            ("snake_case", "unit_price", "very_new"),
            ("UPPERCASE", "UNIT_PRICE", "VERYNEW"),
        ];
        for (rule, field, variant) in cases {
            let case = Case::parse(rule).expect(rule);
            assert_eq!(case.field("unit_price"), field, "{rule}");
            assert_eq!(case.variant("VeryNew"), variant, "{rule}");
        }
    }
}
