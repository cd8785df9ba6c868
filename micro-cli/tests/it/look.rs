//! Looking around: list, describe, health, config, completions, help.

use serde_json::{Value, json};

use crate::world::{Home, World};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

#[tokio::test]
async fn list_shows_services_with_their_handlers() {
    let world = World::start().await;
    let text = world.micro(&["list"]).await.ok();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("SERVICE  VERSION  INSTANCES  HANDLERS"), "{text}");
    assert!(lines[1].starts_with("greeter  1        1          hello, add, "), "{text}");
    assert!(lines[1].ends_with("<- orders.*"), "{text}");
    let list = parsed(&world.micro(&["list", "--json"]).await.ok());
    assert_eq!(list[0]["service"], "greeter");
    assert_eq!(list[0]["handlers"][0], "hello");
    assert_eq!(list[0]["subscriptions"], json!(["orders.*"]));
    assert_eq!(list[0]["instances"][0]["pid"], std::process::id());
    assert_eq!(list[0]["instances"][0]["error"], Value::Null);
}

#[tokio::test]
async fn an_empty_registry_is_an_empty_list() {
    let home = Home::new();
    let ran = home.micro(&["list"], "").await;
    assert!(ran.stderr.contains("no services"), "{ran:?}");
    assert_eq!(ran.ok(), "");
    assert_eq!(home.micro(&["list", "--json"], "").await.ok(), "[]\n");
    home.micro(&["health"], "").await.failed(3);
    let text = home.micro(&["describe", "greeter"], "").await.failed(3);
    assert!(text.contains("it knows no services at all"), "{text}");
}

#[tokio::test]
async fn describe_shows_docs_and_types() {
    let world = World::start().await;
    let text = world.micro(&["describe", "greeter"]).await.ok();
    for part in [
        "greeter  version 1",
        "greeter.hello  unary, idempotent, for services of the domain\n  Greets one person.\n",
        "takes    {name: a string, loud?: true or false}",
        "returns  stream of a whole number from 0 to 4294967295",
        "orders.*  subscription, topic orders.created, for group greeter",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let described = parsed(&world.micro(&["describe", "greeter", "--json"]).await.ok());
    assert_eq!(described["name"], "greeter");
    assert_eq!(described["methods"][0]["name"], "hello");
    let text = world.micro(&["describe", "greter"]).await.failed(3);
    assert!(text.contains("did you mean `greeter`?"), "{text}");
}

#[tokio::test]
async fn health_asks_every_instance() {
    let world = World::start().await;
    let text = world.micro(&["health", "greeter"]).await.ok();
    assert!(text.contains("greeter  quic://") && text.contains("serving"), "{text}");
    let health = parsed(&world.micro(&["--json", "health"]).await.ok());
    assert_eq!(health[0]["status"], "serving");
    assert_eq!(health[0]["error"], Value::Null);
}

#[tokio::test]
async fn an_instance_that_does_not_answer_is_no_health() {
    use micro::registry::{Instance, InstanceId, LocalRegistry, Registry};

    let world = World::start().await;
    // Nobody listens on the discard port.
    let instance = Instance {
        id: InstanceId::random(),
        service: "ghost".into(),
        version: 1,
        addresses: vec!["quic://127.0.0.1:9".parse().unwrap()],
        metadata: Default::default(),
        subscriptions: Vec::new(),
    };
    let registry = LocalRegistry::open(world.home.path().join("registry")).unwrap();
    let _lease = registry.register(instance).await.unwrap();
    let ran = world.micro(&["health", "--json"]).await;
    assert_eq!(ran.exit, 1, "{ran:?}");
    let health = parsed(&ran.stdout);
    let of = |service: &str| health.as_array().unwrap().iter().find(|h| h["service"] == service);
    assert_eq!(of("ghost").unwrap()["status"], "unreachable");
    assert_eq!(of("greeter").unwrap()["status"], "serving");
    let text = world.micro(&["call", "ghost.walk", "--timeout", "10s"]).await.failed(1);
    assert!(text.contains("cannot connect to `ghost`"), "{text}");
}

#[tokio::test]
async fn config_says_where_each_setting_came_from() {
    let home = Home::new();
    std::fs::write(home.work().join("micro.toml"), "request_timeout = \"2s\"\n").unwrap();
    let mut command = home.command(&["config", "--json", "--broker", "memory"]);
    command.env("MICRO_REGISTRY", "memory");
    let shown = parsed(&crate::world::Process::start(command).end("").await.ok());
    assert_eq!(shown["settings"]["request_timeout"], "2s");
    let sources = &shown["sources"];
    assert_eq!(sources["request_timeout"], "file");
    assert_eq!(sources["registry"], "environment");
    assert_eq!(sources["broker"], "flag");
    assert_eq!(sources["transport"], "default");
    let text = home.micro(&["config"], "").await.ok();
    assert!(text.contains("request_timeout  = \"2s\"") && text.contains("# file"), "{text}");
}

#[tokio::test]
async fn a_wrong_configuration_is_exit_78() {
    let home = Home::new();
    let text = home.micro(&["--registry", "locl", "list"], "").await.failed(78);
    assert!(text.contains("did you mean `local`"), "{text}");
    let error = home.micro(&["--broker", "kafka://x", "list", "--json"], "").await.error(78);
    assert!(error["message"].as_str().unwrap().contains("kafka"), "{error}");
    home.micro(&["--config", "missing.toml", "list"], "").await.failed(78);
    std::fs::write(home.work().join("micro.toml"), "registri = \"local\"\n").unwrap();
    let text = home.micro(&["list"], "").await.failed(78);
    assert!(text.contains("did you mean `registry`"), "{text}");
    std::fs::write(home.work().join("file"), "").unwrap();
    let registry = format!("local://{}", home.work().join("file").display());
    let text = home.micro(&["--registry", &registry, "config"], "").await;
    assert_eq!(text.exit, 78, "the file above is still wrong: {text:?}");
}

#[tokio::test]
async fn a_registry_that_cannot_be_used_is_exit_78() {
    let home = Home::new();
    std::fs::write(home.work().join("file"), "").unwrap();
    let registry = format!("local://{}", home.work().join("file").display());
    let text = home.micro(&["--registry", &registry, "list"], "").await.failed(78);
    assert!(text.contains("registry directory"), "{text}");
}

#[tokio::test]
async fn every_shell_has_completions() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = home.micro(&["completions", shell], "").await.ok();
        assert!(script.contains("subscribe"), "{shell}");
    }
    home.micro(&["completions", "cmd"], "").await.failed(2);
}

#[tokio::test]
async fn help_documents_the_exit_codes() {
    let home = Home::new();
    let help = home.micro(&["--help"], "").await.ok();
    assert!(help.contains("Exit codes:") && help.contains("78  the configuration"), "{help}");
    assert!(help.contains("mismatches"), "{help}");
    home.micro(&[], "").await.failed(2);
    home.micro(&["call"], "").await.failed(2);
}
