use std::time::Duration;

use super::layers::Asked;
use super::*;

fn load(file: Option<&str>, environment: &[(&str, &str)], arguments: &[&str]) -> Result<Loaded> {
    let path = std::env::temp_dir().join(format!("micro-config-{}.toml", crate::id::Id::random()));
    if let Some(text) = file {
        std::fs::write(&path, text).expect("temp file");
    }
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let layers = Layers {
        file: file.map(|_| path.clone()),
        environment: environment.iter().map(pair).collect(),
        arguments: arguments.iter().map(Into::into).collect(),
    };
    let asked = layers.load();
    let _ = std::fs::remove_file(path);
    match asked? {
        Asked::Run(loaded) => Ok(*loaded),
        Asked::Print(text) => Err(Status::invalid_argument(text)),
    }
}

fn refused(file: Option<&str>, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    load(file, environment, arguments).expect_err("refused").message().to_owned()
}

#[test]
fn each_layer_goes_over_the_ones_before() {
    let file = Some("registry = \"mdns\"\nbroker = \"memory\"\nrequest_timeout = \"2s\"");
    let env = [("MICRO_BROKER", "direct"), ("MICRO_CLIENT_REQUEST_TIMEOUT", "3s"), ("PATH", "/")];
    let Loaded { settings, sources } = load(file, &env, &["--request-timeout=4s"]).expect("loads");
    assert_eq!(settings.registry, "mdns");
    assert_eq!(settings.broker, "direct");
    assert_eq!(settings.request_timeout, Duration::from_secs(4));
    assert_eq!(settings.transport, "quic");
    assert_eq!(sources["registry"], Source::File);
    assert_eq!(sources["broker"], Source::Environment);
    assert_eq!(sources["request_timeout"], Source::Flag);
    assert_eq!(sources.get("transport"), None);
}

#[test]
fn every_key_can_be_set_and_is_read_back() {
    for key in KEYS {
        let value = match key.name {
            "max_in_flight" => "7",
            "quic_mtu" => "1452",
            name if name.ends_with("timeout") => "7s",
            _ => "other",
        };
        let before = toml::Table::try_from(Settings::default()).expect("table");
        for loaded in [
            load(None, &[(key.env, value)], &[]).expect("environment"),
            load(None, &[], &[&format!("--{}", key.flag), value]).expect("flag"),
        ] {
            let after = toml::Table::try_from(loaded.settings).expect("table");
            assert_ne!(before.get(key.name), after.get(key.name), "{}", key.name);
        }
    }
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    assert!(refused(Some("registri = \"local\""), &[], &[]).contains("did you mean `registry`"));
    assert!(
        refused(None, &[("MICRO_REGISTRI", "x")], &[]).contains("did you mean `MICRO_REGISTRY`")
    );
    assert!(refused(None, &[], &["--registri", "x"]).contains("did you mean `registry`"));
    assert!(refused(None, &[], &["stray"]).contains("--help"));
}

#[test]
fn a_value_that_does_not_fit_names_its_layer() {
    assert!(refused(Some("request_timeout = 5"), &[], &[]).contains("the file"));
    let text = refused(None, &[("MICRO_CLIENT_REQUEST_TIMEOUT", "soon")], &[]);
    assert!(text.contains("MICRO_CLIENT_REQUEST_TIMEOUT") && text.contains("5s"), "{text}");
    assert!(refused(None, &[], &["--max-in-flight", "many"]).contains("--max-in-flight"));
    assert!(refused(None, &[], &["--max-in-flight", "0"]).contains("max_in_flight"));
    let text = refused(None, &[("MICRO_QUIC_MTU", "9000")], &[]);
    assert!(text.contains("1200 to 6500") && text.contains("64 KiB"), "{text}");
    let text = refused(None, &[], &["--address", "tpc://127.0.0.1:0"]);
    assert!(text.contains("`address`") && text.contains("`tcp://`"), "{text}");
    assert!(refused(None, &[], &["--name", "A b"]).contains("name"));
    assert!(refused(None, &[], &["--registry"]).contains("registry"));
}

#[test]
fn the_app_has_sections_of_its_own() {
    let file = Some("[app.limits]\nmax = 1\nname = \"a\"");
    let env = [("MICRO_APP__LIMITS__MAX", "5"), ("MICRO_APP__LIMITS__OTHER", "plain text")];
    let app = load(file, &env, &[]).expect("loads").settings.app;
    let limits = app["limits"].as_table().expect("table");
    assert_eq!(limits["max"].as_integer(), Some(5));
    assert_eq!(limits["name"].as_str(), Some("a"));
    assert_eq!(limits["other"].as_str(), Some("plain text"));
}

#[test]
fn help_lists_every_flag() {
    let text = refused(None, &[], &["--help"]);
    for key in KEYS {
        assert!(
            text.contains(&format!("--{}", key.flag)) && text.contains(key.env),
            "{}",
            key.name
        );
    }
}
