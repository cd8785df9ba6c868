//! JSON as text: laid out anew without being parsed into values, so that the order of fields and the
//! digits of numbers stay as the service wrote them.

/// The text on one line, without spaces between its parts.
pub(crate) fn one_line(text: &str) -> String {
    lay_out(text, false)
}

/// The text on indented lines.
pub(crate) fn indented(text: &str) -> String {
    lay_out(text, true)
}

fn lay_out(text: &str, indented: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                string(&mut chars, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                // `{}` and `[]` stay together.
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                    continue;
                }
                depth += 1;
                new_line(&mut out, depth, indented);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth, indented);
                out.push(c);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth, indented);
            }
            ':' if indented => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => push(c, &mut out),
        }
    }
    out
}

/// The rest of a string, with its closing quote.
fn string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return out.push('"'),
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
            }
            c => push(c, out),
        }
    }
}

/// Control characters escaped: some that JSON allows in strings control terminals.
fn push(c: char, out: &mut String) {
    match c.is_control() {
        true => out.push_str(&format!("\\u{:04x}", c as u32)),
        false => out.push(c),
    }
}

fn new_line(out: &mut String, depth: usize, indented: bool) {
    if indented {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str("  "));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const TEXT: &str = " { \"b\" : [1, 18446744073709551616, {}, [ ] ],\n \"a\": \"x: \\\"{,\" }";

    #[test]
    fn order_and_digits_stay() {
        assert_eq!(one_line(TEXT), r#"{"b":[1,18446744073709551616,{},[]],"a":"x: \"{,"}"#);
        assert_eq!(
            indented(TEXT),
            "{\n  \"b\": [\n    1,\n    18446744073709551616,\n    {},\n    []\n  ],\n  \"a\": \"x: \\\"{,\"\n}"
        );
    }

    #[test]
    fn the_value_is_the_same() {
        let value: Value = serde_json::from_str(TEXT).expect("JSON");
        for text in [one_line(TEXT), indented(TEXT)] {
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
        }
    }

    #[test]
    fn controls_inside_of_strings_are_escaped() {
        assert_eq!(one_line("\"a\u{9b}31m\u{7f}\""), r#""a\u009b31m\u007f""#);
    }
}
