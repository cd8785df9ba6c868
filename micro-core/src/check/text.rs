//! Text that the compiler can put together, for the message of a failed check.

/// A string of at most 1 KiB; what does not fit is cut. Written only when something is wrong.
#[derive(Clone, Copy)]
pub(super) struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    /// Appends words. A character is never cut in half: one that does not fit ends the text.
    pub(super) const fn then(mut self, words: &str) -> Self {
        let words = words.as_bytes();
        let fits = if words.len() <= self.bytes.len() - self.len { words.len() } else { 0 };
        let mut i = 0;
        while i < fits {
            self.bytes[self.len] = words[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    /// Appends a name in backticks.
    pub(super) const fn name(self, name: &str) -> Self {
        self.then("`").then(name).then("`")
    }

    /// Appends a number.
    pub(super) const fn number(self, mut number: u32) -> Self {
        let mut digits = [0u8; 10];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        match std::str::from_utf8(digits.split_at(start).1) {
            Ok(digits) => self.then(digits),
            Err(_) => self,
        }
    }

    /// All of it.
    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "a check failed",
        }
    }

    /// Fails the evaluation with this text, at the place that called the check.
    #[track_caller]
    pub(super) const fn fail(&self) -> ! {
        panic!("{}", self.as_str())
    }
}

/// Whether two strings are the same.
pub(super) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether a list has a string.
pub(super) const fn contains(list: &[&str], word: &str) -> bool {
    let mut i = 0;
    while i < list.len() {
        if same(list[i], word) {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether `near` was probably meant by `word`. As `crate::text::nearest`, for the compiler.
pub(super) const fn is_near(word: &str, near: &str) -> bool {
    let edits = distance(word, near);
    edits <= 1 + near.len() / 4 && edits < near.len()
}

const LONGEST: usize = 32;

/// The Levenshtein distance of short words.
const fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() >= LONGEST || b.len() >= LONGEST {
        return usize::MAX;
    }
    let mut row = [0; LONGEST];
    let mut j = 0;
    while j <= b.len() {
        row[j] = j;
        j += 1;
    }
    let mut i = 0;
    while i < a.len() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        let mut j = 0;
        while j < b.len() {
            let above = row[j + 1];
            let mut least = if a[i] == b[j] { diagonal } else { diagonal + 1 };
            least = if above + 1 < least { above + 1 } else { least };
            row[j + 1] = if row[j] + 1 < least { row[j] + 1 } else { least };
            diagonal = above;
            j += 1;
        }
        i += 1;
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_holds_names_and_numbers() {
        let text = Text::new().then("line ").number(4_294_967_295).then(" of ").name("ä").number(0);
        assert_eq!(text.as_str(), "line 4294967295 of `ä`0");
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let long = "ä".repeat(600);
        assert_eq!(Text::new().then("x").then(&long).as_str(), "x");
    }

    #[test]
    fn near_words_are_found_as_at_run_time() {
        for (word, near) in [("helo", "hello"), ("nmae", "name"), ("a", "b"), ("orders", "quotes")]
        {
            assert_eq!(is_near(word, near), crate::text::nearest(word, [near]).is_some(), "{word}");
        }
    }
}
