//! Mistakes, one a file and named by it, and what the user is told about each.
//!
//! `TRYBUILD=overwrite cargo test -p micro-ui-tests --test fail` writes what is told now; read the
//! difference before it is kept.

/// More than one error for one mistake, and why nothing can be done about it.
const SEVERAL: &[(&str, usize, &str)] = &[
    ("many_errors", 15, "it has that many mistakes"),
    ("message_field_cannot_travel", 4, "serde's derives report each use of the field"),
    ("option_with_wrong_value", 8, "it has that many mistakes"),
    ("option_without_key", 2, "it has that many mistakes"),
    ("published_is_no_event", 3, "a bound of an async function is reported for its future too"),
    ("request_not_send", 2, "it neither travels nor moves between threads"),
    ("service_twice", 6, "no macro sees the other block; `client = ..` is the way to have two"),
];

#[test]
fn every_mistake_is_told_at_its_place() {
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}

#[test]
fn every_mistake_is_told_once() {
    let files = std::fs::read_dir("fail").expect("the directory");
    for path in files.map(|file| file.expect("an entry").path()) {
        if path.extension().is_none_or(|extension| extension != "stderr") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        let errors = text.lines().filter(|line| line.starts_with("error")).count();
        let warnings = text.lines().filter(|line| line.starts_with("warning")).count();
        let expected = SEVERAL.iter().find(|(several, ..)| *several == name);
        let expected = expected.map_or(1, |(_, errors, _)| *errors);
        assert_eq!((errors, warnings), (expected, 0), "{name}");
    }
}
