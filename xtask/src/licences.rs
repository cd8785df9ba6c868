//! Licences of all dependencies, by what `deny.toml` allows.

use serde_json::Value;

use crate::{Outcome, output};

pub(crate) fn check() -> Outcome {
    let allowed = allowed()?;
    let metadata = output("cargo", &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| e.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut refused = Vec::new();
    for package in packages {
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        let licence = text(&package["license"]);
        if !is_allowed(licence, &allowed) {
            refused.push(format!("{name}: {licence:?}"));
        }
    }
    println!("{} packages, {} licences allowed", packages.len(), allowed.len());
    if refused.is_empty() {
        return Ok(());
    }
    Err(format!("licences that deny.toml does not allow:\n  {}", refused.join("\n  ")))
}

fn allowed() -> Result<Vec<String>, String> {
    let deny = std::fs::read_to_string("deny.toml").map_err(|e| format!("deny.toml: {e}"))?;
    let deny: toml::Table = deny.parse().map_err(|e| format!("deny.toml: {e}"))?;
    let list = deny.get("licenses").and_then(|l| l.get("allow")).and_then(toml::Value::as_array);
    let list = list.ok_or("deny.toml: no licenses.allow")?;
    Ok(list.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect())
}

/// Every `AND` part must have an allowed `OR` part. `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let known = |name: &str| {
        let name = name.split(" WITH ").next().unwrap_or(name).trim();
        allowed.iter().any(|a| a == name)
    };
    expression.split(" AND ").all(|part| part.split(" OR ").any(known))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_people_mean_them() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned(), "ISC".to_owned()];
        for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "ISC AND (Apache-2.0 OR ISC)"] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND OpenSSL"] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }
}
