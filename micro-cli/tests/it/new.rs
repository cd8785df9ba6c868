//! Beginning a project.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::Home;

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_project_has_all_its_files_and_nothing_is_left_beside_it() {
    let home = Home::new();
    std::fs::create_dir(home.work().join("shop")).unwrap();
    let said = home.micro(&["new", "shop"], "").await.ok();
    assert!(said.contains("cd shop && cargo run"), "{said}");
    assert_eq!(entries(&home.work()), ["shop"]);
    let shop = home.work().join("shop");
    assert_eq!(entries(&shop), [".gitignore", "Cargo.toml", "README.md", "micro.toml", "src"]);
    let manifest = std::fs::read_to_string(shop.join("Cargo.toml")).unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = format!("micro = {{ path = \"{}\" }}", checkout.join("micro").display());
    assert!(manifest.contains(&path), "{manifest}");
    let text = home.micro(&["--config", "shop/micro.toml", "config"], "").await.ok();
    assert!(!text.contains("# file"), "all keys are commented out: {text}");
}

#[tokio::test]
async fn what_is_there_is_not_touched() {
    let home = Home::new();
    std::fs::create_dir(home.work().join("shop")).unwrap();
    std::fs::write(home.work().join("shop/mine"), "x").unwrap();
    let text = home.micro(&["new", "shop"], "").await.failed(1);
    assert!(text.contains("not empty"), "{text}");
    assert_eq!(entries(&home.work().join("shop")), ["mine"]);
    std::fs::write(home.work().join("file"), "x").unwrap();
    home.micro(&["new", "file"], "").await.failed(1);
    assert_eq!(entries(&home.work()), ["file", "shop"]);
}

#[tokio::test]
async fn a_wrong_name_or_checkout_is_refused_with_the_rule() {
    let home = Home::new();
    for name in ["Shop", "../x", "fn", "micro"] {
        let text = home.micro(&["new", name], "").await.failed(2);
        assert!(text.contains("`a-z 0-9 _ -`"), "{text}");
    }
    let text = home.micro(&["new", "shop", "--path", "."], "").await.failed(2);
    assert!(text.contains("not a checkout"), "{text}");
    assert!(entries(&home.work()).is_empty());
}

#[tokio::test]
#[ignore = "builds a project; CI runs it with --include-ignored"]
async fn a_project_passes_its_tests_and_answers_as_generated() {
    let home = Home::new();
    home.micro(&["new", "order-items"], "").await.ok();
    let project = home.work().join("order-items");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // The versions that the checkout was tested with, which are there without a network.
    std::fs::copy(checkout.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .current_dir(&project)
            .args(arguments)
            .args(["--offline", "--target-dir"])
            .arg(checkout.join("target"))
            // As the workspace builds, so that what is built already serves.
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env("CARGO_PROFILE_TEST_DEBUG", "line-tables-only")
            .env("MICRO_HOME", home.path());
        command
    };
    let tests = cargo(&["test", "--quiet"]).output().unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
    assert!(String::from_utf8_lossy(&tests.stdout).contains("3 passed"));
    assert!(cargo(&["build", "--quiet"]).status().unwrap().success());
    let service = Command::new(checkout.join("target/debug/order-items"))
        .env("MICRO_HOME", home.path())
        .current_dir(&project)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let service = Running(service);
    let reply = home.micro(&["call", "order-items.hello", r#"{"name":"Ann"}"#], "").await.ok();
    assert_eq!(reply, "\"Hello, Ann!\"\n");
    assert_eq!(home.micro(&["call", "order-items.count", "3"], "").await.ok(), "1\n2\n3\n");
    drop(service);
}

struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
