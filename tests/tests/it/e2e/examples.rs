//! The examples do what the commands above their code say, each command as it is written there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use micro_tests::process::{Finished, Home, Process, Program};

/// All programs that the commands start, and the fixture so that nothing is built twice for want of one
/// feature.
const PACKAGES: [&str; 9] = [
    "micro-tests",
    "contract-client",
    "contract-server",
    "hello",
    "interceptors",
    "micro-cli",
    "pubsub",
    "shop",
    "streaming",
];

/// Where the built programs are.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_fixture")).parent().expect("a folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--bins", "--manifest-path"]);
        cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
        cargo.arg("--target-dir").arg(folder.parent().expect("the target folder"));
        cargo.args(PACKAGES.map(|package| format!("--package={package}")));
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "the examples do not build");
        folder.to_owned()
    })
}

/// The commands in the doc comment of one file.
struct Doc {
    home: Home,
    commands: Vec<(String, bool)>,
}

impl Doc {
    async fn of(file: &str) -> Self {
        // Blocks while everything is built, the first time.
        tokio::task::spawn_blocking(built).await.expect("built");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file);
        let text = std::fs::read_to_string(&path).expect("a source file");
        let lines = text.lines().filter_map(|line| line.strip_prefix("//! cargo "));
        let command = |line: &str| {
            let command = line.split(" #").next().unwrap_or_default().trim();
            (format!("cargo {command}"), false)
        };
        Self { home: Home::new(), commands: lines.map(command).collect() }
    }

    /// The program that a command of the comment starts.
    fn program(&mut self, command: &str) -> Program {
        let Some((_, used)) = self.commands.iter_mut().find(|(text, _)| text == command) else {
            panic!("{command:?} is not among the commands: {:#?}", self.commands);
        };
        *used = true;
        let rest = command.strip_prefix("cargo run").expect("it runs something").trim();
        let (package, arguments) = match rest.strip_prefix("-p ") {
            None => ("hello", rest),
            Some(rest) => rest.split_once(" -- ").unwrap_or((rest, "")),
        };
        let name = if package == "micro-cli" { "micro" } else { package };
        self.home.program(built().join(name)).args(words(arguments))
    }

    /// Starts a service.
    async fn serve(&mut self, command: &str) -> Process {
        self.program(command).serve().await
    }

    /// Runs a command to its end.
    async fn run(&mut self, command: &str) -> Finished {
        self.program(command).finish().await
    }

    /// Runs a command that prints this and nothing else.
    async fn prints(&mut self, command: &str, wanted: &str) {
        let finished = self.run(command).await;
        assert_eq!(finished.code(), Some(0), "{finished:#?}");
        assert_eq!(finished.out.join("\n"), wanted, "{finished:#?}");
    }

    /// Forgets who runs.
    fn elsewhere(&mut self) {
        self.home = Home::new();
    }

    /// Checks that there is no other command.
    fn done(self) {
        let left: Vec<_> = self.commands.iter().filter(|(_, used)| !used).collect();
        assert!(left.is_empty(), "commands that no test has run: {left:#?}");
    }
}

/// Splits as a shell does, as far as the commands need it.
fn words(text: &str) -> Vec<String> {
    let quoted = text.split('\'').enumerate();
    let words = quoted.flat_map(|(at, part)| match at % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    });
    words.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hello() {
    let mut doc = Doc::of("hello/src/main.rs").await;
    let _service = doc.serve("cargo run").await;
    doc.prints(
        r#"cargo run -p micro-cli -- call greeter.hello '{"name":"Ann"}'"#,
        "\"Hello, Ann!\"",
    )
    .await;
    doc.prints(r#"cargo run -p micro-cli -- call greeter.add '{"a":2,"b":3}'"#, "5").await;
    let described = doc.run("cargo run -p micro-cli -- describe greeter").await;
    let text = described.out.join("\n");
    for wanted in ["greeter", "hello", "Greets one person.", "add", "ticks"] {
        assert!(text.contains(wanted), "{wanted}: {described:#?}");
    }
    doc.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_the_wrong_shape_names_the_field() {
    let mut doc = Doc::of("hello/src/main.rs").await;
    let _service = doc.serve("cargo run").await;
    let micro = |doc: &Doc, args: &[&str]| {
        doc.home.program(built().join("micro")).args(args.iter().copied()).finish()
    };
    let finished = micro(&doc, &["call", "greeter.hello", r#"{"nam":"Ann"}"#]).await;
    assert_eq!(finished.code(), Some(4), "{finished:#?}");
    assert!(finished.errors().contains("`name`"), "{finished:#?}");
    let finished = micro(&doc, &["call", "greeter.add", r#"{"a":"two","b":3}"#]).await;
    assert_eq!(finished.code(), Some(4), "{finished:#?}");
    assert!(finished.errors().contains("`a`"), "{finished:#?}");
    let finished = micro(&doc, &["call", "greeter.helo", "{}"]).await;
    assert_eq!(finished.code(), Some(3), "{finished:#?}");
    assert!(finished.errors().contains("did you mean `hello`"), "{finished:#?}");
    let finished = micro(&doc, &["call", "greetr.hello", "{}"]).await;
    assert_eq!(finished.code(), Some(3), "{finished:#?}");
    assert!(finished.errors().contains("did you mean `greeter`"), "{finished:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming() {
    let mut doc = Doc::of("streaming/src/main.rs").await;
    let finished = doc.run("cargo run -p streaming").await;
    assert_eq!(finished.code(), Some(0), "{finished:#?}");
    let wanted = [
        "count   Some(10)",
        "sum     5050",
        "shout   Some(\"QUICK\")",
        "squares 1",
        "squares 4",
        "squares 9",
        "squares 16",
    ];
    assert_eq!(finished.out, wanted, "{finished:#?}");
    doc.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn pubsub() {
    let mut doc = Doc::of("pubsub/src/main.rs").await;
    let place = r#"cargo run -p micro-cli -- call orders.place '{"sku":"tea"}'"#;
    let (invoice, parcel) = ("billing:  an invoice for order", "shipping: a parcel for order");
    let is = |wanted: &'static str| move |line: &str| line.starts_with(wanted);

    let all = doc.serve("cargo run -p pubsub").await;
    doc.prints(place, "1").await;
    all.line(is(invoice)).await;
    all.line(is(parcel)).await;
    drop(all);

    doc.elsewhere();
    let billing = doc.serve("cargo run -p pubsub -- --services billing").await;
    let shipping = doc.serve("cargo run -p pubsub -- --services shipping").await;
    let _orders = doc.serve("cargo run -p pubsub -- --services orders").await;
    doc.prints(place, "1").await;
    assert_eq!(billing.line(is(invoice)).await, format!("{invoice} 1 (tea)"));
    assert_eq!(shipping.line(is(parcel)).await, format!("{parcel} 1 (tea)"));

    let outside = doc.program("cargo run -p micro-cli -- subscribe 'orders.*'").start();
    outside.error_line(|line| line.starts_with("listening to orders.*")).await;
    // Those who publish learn of it a moment later.
    let seen = loop {
        let placed = doc.run(place).await;
        assert_eq!(placed.code(), Some(0), "{placed:#?}");
        if let Some(line) = outside.out.now().first() {
            break line.clone();
        }
    };
    assert!(seen.starts_with("orders.created {"), "{seen}");
    assert!(seen.contains(r#""sku":"tea""#), "{seen}");
    doc.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn interceptors_end_in_four_ways() {
    let mut doc = Doc::of("interceptors/src/main.rs").await;
    let service = doc.serve("cargo run -p interceptors").await;
    let refused = doc.run("cargo run -p micro-cli -- call vault.open").await;
    assert_eq!(refused.code(), Some(1), "{refused:#?}");
    assert!(refused.errors().contains("unauthenticated"), "{refused:#?}");
    let refused = doc.run("cargo run -p micro-cli -- call vault.open --metadata token=ann").await;
    assert_eq!(refused.code(), Some(1), "{refused:#?}");
    assert!(refused.errors().contains("permission_denied"), "{refused:#?}");
    assert_eq!(service.out.now().iter().filter(|line| line.contains("opened by")).count(), 0);
    doc.prints("cargo run -p micro-cli -- call vault.open --metadata token=boss", "\"gold\"").await;
    service.line(|line| line == "opened by boss").await;
    doc.prints("cargo run -p micro-cli -- call vault.health", "true").await;
    // Every outcome was observed, refusals included.
    for wanted in ["vault.open unauthenticated", "vault.open permission_denied", "vault.open ok"] {
        service.line(|line| line.contains(wanted)).await;
    }
    doc.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn contract() {
    for file in ["contract/server/src/main.rs", "contract/client/src/main.rs"] {
        let mut doc = Doc::of(file).await;
        let _server = doc.serve("cargo run -p contract-server").await;
        doc.prints(
            "cargo run -p contract-client",
            "two teas cost 700 cents\n\
             nobody sells anvil\n\
             tea is now 300 cents\n\
             tea is now 301 cents\n\
             tea is now 302 cents\n\
             tea is now 303 cents\n\
             tea is now 304 cents",
        )
        .await;
        doc.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_is_one_process_or_three() {
    let mut doc = Doc::of("shop/src/main.rs").await;
    let place = r#"cargo run -p micro-cli -- call orders.place '{"sku":"tea","count":2}'"#;
    let stock = r#"cargo run -p micro-cli -- call warehouse.stock '"tea"'"#;
    let packed = |line: &str| line == "order 1: 2 x tea";

    let one = doc.serve("cargo run -p shop").await;
    doc.prints(place, "700").await;
    one.line(packed).await;
    doc.prints(stock, "98").await;
    one.terminate();
    assert_eq!(one.finished().await.code(), Some(0));

    doc.elsewhere();
    let _catalog = doc.serve("cargo run -p shop -- --services catalog").await;
    let _orders = doc.serve("cargo run -p shop -- --services orders").await;
    let warehouse = doc.serve("cargo run -p shop -- --services warehouse").await;
    doc.prints(place, "700").await;
    warehouse.line(packed).await;
    doc.prints(stock, "98").await;
    doc.done();
}
