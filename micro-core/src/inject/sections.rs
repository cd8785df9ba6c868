//! Sections: the tables below `[app]`, one for each type that a service asks for.

use serde::de::DeserializeOwned;

use crate::status::{Result, Status};

/// The app's own configuration.
#[derive(Clone, Debug, Default)]
pub struct Sections(toml::Table);

impl Sections {
    /// The tables of a configuration.
    pub fn new(app: toml::Table) -> Self {
        Self(app)
    }

    /// The section named like `T` in snake case, or the default if there is none.
    ///
    /// # Errors
    /// `InvalidArgument` that names the section and what does not fit.
    pub fn section<T: DeserializeOwned + Default>(&self) -> Result<T> {
        let name = section_name(std::any::type_name::<T>());
        let Some(value) = self.0.get(&name) else { return Ok(T::default()) };
        value.clone().try_into().map_err(|error: toml::de::Error| {
            Status::invalid_argument(format!("configuration `[app.{name}]`: {}", error.message()))
        })
    }
}

/// `shop::OrderLimits` -> `order_limits`
fn section_name(type_name: &str) -> String {
    let path = type_name.split('<').next().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default();
    let letters: Vec<char> = name.chars().collect();
    let mut section = String::new();
    for (i, letter) in letters.iter().enumerate() {
        // As the names of services are made: a word begins at a capital behind a small letter, or at
        // the last of several capitals.
        let begins = i > 0
            && (letters[i - 1].is_lowercase()
                || letters.get(i + 1).is_some_and(|n| n.is_lowercase()));
        if letter.is_uppercase() && begins {
            section.push('_');
        }
        section.extend(letter.to_lowercase());
    }
    section
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct OrderLimits {
        max: u32,
    }

    #[test]
    fn a_type_finds_its_table() {
        let app = toml::from_str("[order_limits]\nmax = 5").expect("toml");
        assert_eq!(
            Sections::new(app).section::<OrderLimits>().expect("fits"),
            OrderLimits { max: 5 }
        );
        assert_eq!(Sections::default().section::<OrderLimits>().expect("default").max, 0);
    }

    #[test]
    fn names_are_made_like_those_of_services() {
        assert_eq!(section_name("shop::limits::HTTPLimits"), "http_limits");
        assert_eq!(section_name("V2Limits<u8>"), "v2_limits");
    }

    #[test]
    fn what_does_not_fit_names_the_section() {
        let app = toml::from_str("[order_limits]\nmaximum = 5").expect("toml");
        let error = Sections::new(app).section::<OrderLimits>().expect_err("unknown key");
        assert!(error.message().contains("[app.order_limits]"), "{error}");
        assert!(error.message().contains("maximum"), "{error}");
    }
}
