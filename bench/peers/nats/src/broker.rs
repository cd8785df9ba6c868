//! nats-server as a child process that ends with this one.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

/// Where a package manager may have put it although it is not on the PATH of everybody.
const ELSEWHERE: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// `max_payload`: the default of 1 MiB leaves no room for the head of a body of 1 MiB.
/// `max_pending`, bytes that wait for one connection: the server drops those who have more, and nothing may
/// be lost here.
const CONFIGURATION: &str = "max_payload: 8388608\nmax_pending: 1073741824\n";

/// A server that listens, and ends when this is dropped or the process is.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    server: Child,
    /// Kills the server when its stdin ends, that is, with this process, however that ends.
    watcher: Child,
}

impl Broker {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// There is none on this machine, or it does not listen within five seconds.
    pub(crate) async fn start() -> Result<Self> {
        let Some(program) = find("nats-server") else {
            bail!(
                "unsupported: no nats-server on the PATH. It is in the packages of most systems \
                 (`apt-get install nats-server`), and `go install \
                 github.com/nats-io/nats-server/v2@latest` builds it"
            );
        };
        // Closed again for the server; it has no way to tell which free port it took.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration =
            std::env::temp_dir().join(format!("micro-bench-nats-{}.conf", address.port()));
        std::fs::write(&configuration, CONFIGURATION)?;
        let mut server = Command::new(program)
            .args(["--addr", "127.0.0.1", "--port", &address.port().to_string(), "--config"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start nats-server")?;
        let watcher = Command::new("sh")
            .args(["-c", "read ended; kill -KILL \"$1\"", "watcher", &server.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .context("start the shell that ends nats-server")?;
        let listens = listens(address, &mut server).await;
        // It has been read, or never will be.
        let _ = std::fs::remove_file(configuration);
        listens?;
        Ok(Self { address, server, watcher })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The watcher first, which knows the server by its number only. An error says that it is gone.
        for child in [&mut self.watcher, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(ELSEWHERE.map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

async fn listens(address: SocketAddr, server: &mut Child) -> Result<()> {
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        if let Some(status) = server.try_wait()? {
            bail!("nats-server ended with {status}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("nats-server does not listen on {address}")
}
