//! Words about text: what is near to a misspelt name, and what a name may look like.

/// The name among `have` that `want` was most likely meant to be.
pub fn nearest<'a>(want: &str, have: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    have.into_iter()
        .map(|name| (distance(want, name), name))
        .filter(|(d, name)| *d <= 1 + name.len() / 4 && *d < name.len())
        .min()
        .map(|(_, name)| name)
}

/// ` (did you mean `x`?)`, or nothing.
pub fn did_you_mean<'a>(want: &str, have: impl IntoIterator<Item = &'a str>) -> String {
    nearest(want, have).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// Whether `name` may name a service or a handler: 1 to 128 of `a-z 0-9 _ - .`
pub fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b))
}

/// The Levenshtein distance; long words are not compared, since a peer may send them.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 256 || b.len() > 256 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..b.len() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != b[j])).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_does_not() {
        assert_eq!(nearest("helo", ["add", "hello", "ticks"]), Some("hello"));
        assert_eq!(nearest("zzz", ["add", "hello"]), None);
        assert_eq!(nearest("", ["a"]), None);
    }
}
