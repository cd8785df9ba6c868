//! `micro new`: a project that compiles, runs and tests as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use micro_core::Id;
use serde_json::json;

use crate::args::New;
use crate::failure::Failure;
use crate::output::Output;

const RULE: &str = "a name is 1 to 64 of `a-z 0-9 _ -`, begins with a letter, ends with a letter or digit, and \
                    is neither a word of Rust nor the name of a crate that every project has";

/// The files of a project, with their templates.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
    (".gitignore", "/target\n"),
    ("micro.toml", include_str!("../template/micro.toml.txt")),
    ("src/main.rs", include_str!("../template/main.rs.txt")),
];

/// Names that cargo or the compiler would refuse, or that would hide what the project uses.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "micro",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tokio",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Types that the project uses under these names, its own `HelloRequest` among them.
const TAKEN: &[&str] = &[
    "App",
    "Box",
    "CallError",
    "Code",
    "Config",
    "Context",
    "Default",
    "Err",
    "HelloRequest",
    "Incoming",
    "Inject",
    "Metadata",
    "Next",
    "None",
    "Ok",
    "Option",
    "Outcome",
    "Principal",
    "Publisher",
    "Result",
    "Self",
    "Sink",
    "Some",
    "Status",
    "Stream",
    "Streaming",
    "String",
    "Vec",
];

pub(crate) fn run(new: &New, out: &mut Output) -> Result<(), Failure> {
    let New { name, path } = new;
    if !is_name(name) {
        return Err(Failure::usage(format!("{name:?} cannot be the name of a project: {RULE}")));
    }
    let checkout = match path {
        Some(path) => Some(given(path)?),
        None => own_checkout(),
    };
    let target = Path::new(name);
    write(target, name, &dependency(checkout.as_deref()))?;
    let shown = fs::canonicalize(target)?;
    if out.json() {
        return out.value(&json!({"path": shown, "name": name}));
    }
    out.line(&format!("{name} is in {}\n", shown.display()))?;
    out.line(&format!("  cd {name} && cargo run                     # in one terminal"))?;
    out.line(&format!("  micro call {name}.hello '{{\"name\":\"Ann\"}}'   # in another"))
}

fn is_name(name: &str) -> bool {
    let is_end = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().all(|c| is_end(c) || b"_-".contains(&c))
        && name.bytes().next().is_some_and(|c| c.is_ascii_lowercase())
        && name.bytes().last().is_some_and(is_end)
        && !RESERVED.contains(&name)
}

/// The checkout that the user names.
fn given(path: &Path) -> Result<PathBuf, Failure> {
    if !is_checkout(path) {
        let text = format!("`--path {}` is not a checkout of micro", path.display());
        return Err(Failure::usage(text));
    }
    Ok(fs::canonicalize(path)?)
}

/// The checkout that this command was built in, if it is still there.
fn own_checkout() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    is_checkout(root).then(|| root.to_owned())
}

fn is_checkout(path: &Path) -> bool {
    path.join("micro/Cargo.toml").is_file() && path.join("micro-core/Cargo.toml").is_file()
}

/// The value of `micro =` in Cargo.toml.
fn dependency(checkout: Option<&Path>) -> String {
    match checkout {
        // Escapes as TOML's basic strings have them.
        Some(root) => format!("{{ path = {} }}", json!(root.join("micro"))),
        None => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
    }
}

/// Writes all files, or none: beside the target first, which is then put in its place at once.
fn write(target: &Path, name: &str, dependency: &str) -> Result<(), Failure> {
    let taken =
        || Failure::Plain(format!("`{}` exists already and is not empty", target.display()));
    match fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(taken()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return Err(taken()),
    }
    let half = target.with_file_name(format!(".{name}-{}", Id::random()));
    let written = fill(&half, name, dependency).and_then(|()| {
        // On Unix an empty directory is replaced; one that was filled meanwhile is not.
        fs::rename(&half, target)
    });
    written.map_err(|error| {
        let _ = fs::remove_dir_all(&half);
        Failure::Plain(format!("cannot write `{}`: {error}", target.display()))
    })
}

fn fill(directory: &Path, name: &str, dependency: &str) -> io::Result<()> {
    fs::create_dir(directory)?;
    fs::create_dir(directory.join("src"))?;
    let (ty, service) = words(name);
    for (file, template) in FILES {
        let text = template
            .replace("{{name}}", name)
            .replace("{{type}}", &ty)
            .replace("{{service}}", &service)
            .replace("{{micro}}", dependency);
        fs::write(directory.join(file), text)?;
    }
    Ok(())
}

/// The type of the service, and its attribute: with a name where the type does not say it.
fn words(name: &str) -> (String, String) {
    let capital = |part: &str| {
        let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
        first.to_ascii_uppercase() + rest
    };
    let mut ty: String = name.split(['-', '_']).map(capital).collect();
    if TAKEN.contains(&ty.as_str()) {
        ty.push_str("Service");
    }
    let is_plain = name.bytes().all(|c| c.is_ascii_lowercase()) && ty.eq_ignore_ascii_case(name);
    let attribute = match is_plain {
        true => "#[service]".to_owned(),
        false => format!("#[service(name = \"{name}\")]"),
    };
    (ty, attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["shop", "a", "order-items", "v2_api", &"a".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Shop", "2go", "-a", "a-", "a b", "a/b", "..", "a.b", "fn", "micro", "ä"] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(!is_name(&"a".repeat(65)));
        assert!(RESERVED.is_sorted() && TAKEN.is_sorted());
    }

    #[test]
    fn the_attribute_names_what_the_type_does_not() {
        let check = |name: &str, ty: &str, attribute: &str| {
            assert_eq!(words(name), (ty.to_owned(), attribute.to_owned()));
        };
        check("shop", "Shop", "#[service]");
        check("order-items", "OrderItems", "#[service(name = \"order-items\")]");
        check("v2__api", "V2Api", "#[service(name = \"v2__api\")]");
        check("result", "ResultService", "#[service(name = \"result\")]");
    }

    #[test]
    fn a_checkout_is_a_path_and_nothing_is_a_version() {
        assert_eq!(dependency(Some(Path::new("/a \"b\""))), r#"{ path = "/a \"b\"/micro" }"#);
        assert_eq!(dependency(None), concat!("\"", env!("CARGO_PKG_VERSION"), "\""));
        assert!(own_checkout().is_some());
    }

    #[test]
    fn every_placeholder_is_filled() {
        let directory = std::env::temp_dir().join(format!("micro-new-{}", Id::random()));
        fill(&directory, "order-items", "\"0.1\"").expect("writes");
        for (file, _) in FILES {
            let text = fs::read_to_string(directory.join(file)).expect("written");
            assert!(!text.contains("{{"), "{file}: {text}");
        }
        fs::remove_dir_all(directory).expect("removes");
    }
}
