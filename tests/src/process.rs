//! Processes under test: started in a home of their own, watched line by line, never left behind.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use micro_core::client::Client;
use micro_core::config::Settings;
use micro_core::identity::{DevCa, IdentitySource};
use micro_core::registry::LocalRegistry;
use micro_core::transport::quic::Quic;
use micro_core::{App, Id, Running, ServiceClient};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long anything may take that happens at once on an idle machine.
pub const BOUND: Duration = Duration::from_secs(60);

/// A directory for the state of some processes, which find each other by it and no others. Removed when
/// it is dropped.
#[derive(Debug)]
pub struct Home(PathBuf);

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// A new one.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("micro-e2e-{}", Id::random()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).expect("a temporary directory");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A program that keeps its state here. Its environment holds nothing else.
    pub fn program(&self, path: impl AsRef<OsStr>) -> Program {
        Program::new(path, &self.0).env("MICRO_HOME", &self.0)
    }

    /// A client in this process of what runs here.
    pub async fn client(&self) -> Connected {
        Connected::new(self.0.as_path(), &self.0.join("registry")).await
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A client in this process.
#[derive(Debug)]
pub struct Connected(Running);

impl Connected {
    /// A client with the CA of `home`, who looks into the registry in `registry`.
    pub async fn new(home: &Path, registry: &Path) -> Self {
        let ca = DevCa::open(home).expect("a development CA");
        Self::with(Arc::new(ca), registry).await
    }

    /// A client with these identities.
    pub async fn with(identities: Arc<dyn IdentitySource>, registry: &Path) -> Self {
        let registry = LocalRegistry::open(registry).expect("a registry");
        let own = "client";
        let app = App::new()
            .settings(Settings::default())
            .registry(Arc::new(registry))
            .transport(Arc::new(Quic::new(identities, own, vec![own.to_owned()])));
        Self(app.start().await.expect("a client starts"))
    }

    /// A typed client.
    pub fn service<C: ServiceClient>(&self) -> C {
        self.0.service()
    }

    /// The client under it.
    pub fn client(&self) -> &Client {
        self.0.client()
    }
}

/// A program that is about to be started.
#[derive(Debug)]
#[must_use = "a program does nothing until it is started"]
pub struct Program {
    command: Command,
    input: String,
}

impl Program {
    /// A program with an environment that holds nothing, in a working directory of its own.
    pub fn new(path: impl AsRef<OsStr>, directory: &Path) -> Self {
        let mut command = Command::new(path);
        command.env_clear().current_dir(directory);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, input: String::new() }
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without a variable.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Where it runs.
    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// As whom it runs.
    pub fn user(mut self, uid: u32) -> Self {
        self.command.uid(uid).gid(uid);
        self
    }

    /// What it reads.
    pub fn input(mut self, input: &str) -> Self {
        input.clone_into(&mut self.input);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        let shown = format!("{:?}", self.command);
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {shown}: {error}"),
        };
        let mut stdin = child.stdin.take().expect("piped above");
        let input = self.input;
        // Fails when the program has not read it all, which is its own affair.
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
        let out = Lines::read(child.stdout.take().expect("piped above"));
        let err = Lines::read(child.stderr.take().expect("piped above"));
        Process { child, shown, out, err }
    }

    /// Starts it and waits for its end.
    pub async fn finish(self) -> Finished {
        self.start().finished().await
    }

    /// Starts it and waits until it says that it listens.
    pub async fn serve(self) -> Process {
        let process = self.start();
        process.listening().await;
        process
    }
}

/// A process that runs. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    shown: String,
    /// What it prints.
    pub out: Lines,
    /// What it logs and says to the person who started it.
    pub err: Lines,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// What it printed.
    pub out: Vec<String>,
    /// What it logged.
    pub err: Vec<String>,
}

impl Process {
    /// Its number. It stays taken until [`Process::finished`].
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it listens, and returns where: `127.0.0.1:1234`.
    pub async fn listening(&self) -> String {
        let line = self.error_line(|line| line.starts_with("listening on ")).await;
        let address = line.split_whitespace().nth(2).expect("an address");
        address.trim_start_matches("quic://").to_owned()
    }

    /// Waits for a line of its standard output.
    pub async fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.out.line(wanted).await.unwrap_or_else(|| panic!("no such line: {self:#?}"))
    }

    /// Waits for a line of its standard error output.
    pub async fn error_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.err.line(wanted).await.unwrap_or_else(|| panic!("no such line: {self:#?}"))
    }

    /// Waits until it has printed that many lines.
    pub async fn lines(&self, count: usize) {
        let came = self.out.count(count).await;
        assert!(came >= count, "{came} lines of {count}: {}: {:?}", self.shown, self.err.now());
    }

    /// Kills it as `kill -9` does: it can do nothing about it.
    pub fn kill(&mut self) {
        // Fails when it has ended.
        let _ = self.child.kill();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        // std sends no other signal than KILL. The process cannot be another one of the same number,
        // since nobody has waited for it yet.
        let mut kill = Command::new("sh");
        let kill = kill.args(["-c", "kill -TERM \"$0\"", &self.pid().to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()), "cannot signal {}", self.shown);
    }

    /// Waits for its end.
    pub async fn finished(mut self) -> Finished {
        let ended = timeout(BOUND, async {
            self.out.ended().await;
            self.err.ended().await;
        });
        assert!(ended.await.is_ok(), "has not ended within {BOUND:?}: {self:#?}");
        // Its output is closed, so this takes no time.
        let status = self.child.wait().expect("waited for once");
        Finished { status, out: self.out.now(), err: self.err.now() }
    }

    /// What `/proc` says of its memory, in KiB.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a process that runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Its exit code; none when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What it logged, as one text.
    pub fn errors(&self) -> String {
        self.err.join("\n")
    }
}

/// The lines of a pipe, as they come.
#[derive(Clone)]
pub struct Lines(watch::Receiver<Seen>);

#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Seen::default());
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                sender.send_modify(|seen| seen.lines.push(text));
                line.clear();
            }
            sender.send_modify(|seen| seen.ended = true);
        });
        Self(receiver)
    }

    /// What has come so far.
    pub fn now(&self) -> Vec<String> {
        self.0.borrow().lines.clone()
    }

    /// Waits for a line; `None` when the pipe ends, or too much time passes, without it.
    pub async fn line(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut receiver = self.0.clone();
        let mut looked_at = 0;
        let mut found = None;
        let look = receiver.wait_for(|seen| {
            found = seen.lines[looked_at..].iter().find(|line| wanted(line)).cloned();
            looked_at = seen.lines.len();
            found.is_some() || seen.ended
        });
        let _ = timeout(BOUND, look).await;
        found
    }

    /// Waits until there are that many lines, and returns how many there are when it waits no longer.
    pub async fn count(&self, count: usize) -> usize {
        let mut receiver = self.0.clone();
        let look = receiver.wait_for(|seen| seen.lines.len() >= count || seen.ended);
        let _ = timeout(BOUND, look).await;
        self.0.borrow().lines.len()
    }

    async fn ended(&self) {
        // Fails when the reader has ended, too.
        let _ = self.0.clone().wait_for(|seen| seen.ended).await;
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = self.0.borrow();
        // Thousands of lines of evidence help nobody.
        let last = seen.lines.len().saturating_sub(20);
        f.debug_struct("Lines")
            .field("count", &seen.lines.len())
            .field("last", &&seen.lines[last..])
            .finish()
    }
}
