//! What the tests run against: services under a home of their own, and the command in it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use micro::config::Settings;
use micro::identity::DevCa;
use micro::prelude::*;
use micro::transport::quic::Quic;
use tokio::sync::mpsc;

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom to greet.
#[message]
pub struct HelloRequest {
    name: String,
    #[serde(default)]
    loud: bool,
}

/// Why there is no quote.
#[fault]
pub enum QuoteError {
    /// There is no such thing.
    UnknownSku(String),
}

/// An order was placed.
#[event("orders.created", key = id)]
pub struct OrderCreated {
    /// Which.
    pub id: u64,
}

/// Answers everything that the tests ask.
pub struct Greeter {
    ended: mpsc::UnboundedSender<bool>,
    orders: mpsc::UnboundedSender<u64>,
}

/// Greets, adds and counts.
#[service(manual)]
impl Greeter {
    /// Greets one person.
    #[handler(idempotent)]
    async fn hello(&self, req: HelloRequest) -> Result<String> {
        let end = if req.loud { "!!!" } else { "!" };
        Ok(format!("Hello, {}{end}", req.name))
    }

    #[handler]
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    #[handler]
    async fn tenant(&self, metadata: &Metadata) -> Option<String> {
        metadata.get("tenant").map(str::to_owned)
    }

    #[handler]
    async fn nothing(&self) {}

    #[handler]
    async fn quote(&self, sku: String) -> Result<u64, QuoteError> {
        Err(QuoteError::UnknownSku(sku))
    }

    #[handler]
    async fn never(&self) -> Result<()> {
        let _guard = self.guard();
        std::future::pending().await
    }

    #[handler]
    async fn ticks(&self, upto: u32, out: Sink<u32>) -> Result<()> {
        for tick in 0..upto {
            out.send(tick).await?;
        }
        Ok(())
    }

    /// One item, and then nothing until the caller goes away.
    #[handler]
    async fn watch(&self, out: Sink<u32>) -> Result<()> {
        let _guard = self.guard();
        out.send(1).await?;
        std::future::pending().await
    }

    #[handler]
    async fn sum(&self, mut numbers: Streaming<i64>) -> Result<i64> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    }

    #[handler]
    async fn shout(&self, mut words: Streaming<String>, out: Sink<String>) -> Result<()> {
        let mut guard = self.guard();
        while let Some(word) = words.next().await {
            out.send(word?.to_uppercase()).await?;
        }
        guard.complete = true;
        Ok(())
    }

    #[subscribe("orders.*")]
    async fn on_order(&self, order: OrderCreated) -> Result<()> {
        let _ = self.orders.send(order.id);
        Ok(())
    }
}

impl Greeter {
    fn guard(&self) -> Ended {
        Ended { to: self.ended.clone(), complete: false }
    }
}

/// Says when a handler has ended, and whether it came to its end.
struct Ended {
    to: mpsc::UnboundedSender<bool>,
    complete: bool,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.to.send(self.complete);
    }
}

/// Services, and a home that only they and the command know.
pub struct World {
    pub home: Home,
    pub app: micro::Running,
    /// A handler that waits has ended.
    pub ended: mpsc::UnboundedReceiver<bool>,
    /// The orders that the service has heard of.
    pub orders: mpsc::UnboundedReceiver<u64>,
}

impl World {
    pub async fn start() -> Self {
        let home = Home::new();
        let (ended_in, ended) = mpsc::unbounded_channel();
        let (orders_in, orders) = mpsc::unbounded_channel();
        let ca = DevCa::open(home.path()).unwrap();
        let transport = Quic::new(Arc::new(ca), "greeter", vec!["greeter".into()]);
        let mut settings = Settings::default();
        // As a service is deployed; also what its neighbours on the same machine must reach.
        settings.address = "0.0.0.0:0".into();
        settings.registry = format!("local://{}", home.path().join("registry").display());
        let app = App::new()
            .settings(settings)
            .transport(Arc::new(transport))
            .service(Greeter { ended: ended_in, orders: orders_in })
            .start()
            .await
            .unwrap();
        Self { home, app, ended, orders }
    }

    /// Runs the command to its end.
    pub async fn micro(&self, arguments: &[&str]) -> Ran {
        self.home.micro(arguments, "").await
    }

    /// Runs the command with this on its standard input.
    pub async fn fed(&self, arguments: &[&str], input: &str) -> Ran {
        self.home.micro(arguments, input).await
    }

    /// Returns when a handler that waits has ended; whether it came to its end.
    pub async fn handler_ended(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, self.ended.recv()).await.expect("a handler ends").unwrap()
    }
}

/// A directory that is removed in the end.
pub struct Home(PathBuf);

impl Home {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("micro-cli-{}", micro::Id::random()));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).unwrap();
        // Where the command runs: no configuration lies there unless a test puts it.
        std::fs::create_dir(path.join("work")).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_micro"));
        command
            .env_clear()
            .env("MICRO_HOME", &self.0)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.work())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub async fn micro(&self, arguments: &[&str], input: &str) -> Ran {
        let process = Process::start(self.command(arguments));
        process.end(input).await
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command that runs.
pub struct Process(Option<Child>);

/// A command that has run.
#[derive(Debug)]
pub struct Ran {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The standard output of a command that must have worked.
    pub fn ok(self) -> String {
        assert_eq!(self.exit, 0, "{self:?}");
        self.stdout
    }

    /// The standard error output of a command that must have failed like this, and printed nothing.
    pub fn failed(self, exit: i32) -> String {
        assert_eq!((self.exit, self.stdout.as_str()), (exit, ""), "{self:?}");
        self.stderr
    }

    /// The error of a command that must have failed like this under `--json`.
    pub fn error(self, exit: i32) -> serde_json::Value {
        let text = self.failed(exit);
        let mut value: serde_json::Value = serde_json::from_str(&text).expect(&text);
        assert_eq!(value["error"]["exit"], exit, "{value}");
        value["error"].take()
    }
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// Reads a line of the standard output.
    pub async fn line(&mut self) -> String {
        let mut out = self.0.as_mut().unwrap().stdout.take().unwrap();
        let read = blocking(move || (read_line(&mut out), out)).await;
        self.0.as_mut().unwrap().stdout = Some(read.1);
        read.0
    }

    /// Reads a line of the standard error output.
    pub async fn error_line(&mut self) -> String {
        let mut err = self.0.as_mut().unwrap().stderr.take().unwrap();
        let read = blocking(move || (read_line(&mut err), err)).await;
        self.0.as_mut().unwrap().stderr = Some(read.1);
        read.0
    }

    /// Writes to the standard input, which stays open.
    pub fn write(&mut self, text: &str) {
        let input = self.0.as_mut().unwrap().stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
    }

    /// Reads no more of the standard output.
    pub fn close_output(&mut self) {
        drop(self.0.as_mut().unwrap().stdout.take());
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Ends the standard input with this and waits.
    pub async fn end(mut self, input: &str) -> Ran {
        let mut child = self.0.take().unwrap();
        let (id, input) = (child.id().to_string(), input.to_owned());
        let waited = tokio::task::spawn_blocking(move || {
            // A command that reads none of it may have ended already.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output()
        });
        let Ok(output) = tokio::time::timeout(PATIENCE, waited).await else {
            // The runtime of the test ends only when the thread that waits does.
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            panic!("the command hangs");
        };
        let output = output.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let exit = code(output.status);
        Ran { exit, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().expect("not killed by a signal")
}

/// Byte by byte, so that nothing behind the line is taken.
fn read_line(from: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while from.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("UTF-8")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work);
    tokio::time::timeout(PATIENCE, done).await.expect("a line comes").unwrap()
}
