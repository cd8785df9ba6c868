use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use super::*;
use crate::transport::memory::Memory;

/// A network of its own that can be blocked, or refuse.
#[derive(Debug, Default)]
struct Path {
    scheme: &'static str,
    is_blocked: AtomicBool,
    refuses: AtomicBool,
    tried: AtomicUsize,
    network: Memory,
}

impl Path {
    fn new(scheme: &'static str) -> Arc<Self> {
        Arc::new(Self { scheme, ..Self::default() })
    }

    fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Open(Arc<crate::context::Peer>);

impl Connection for Open {
    fn peer(&self) -> &Arc<crate::context::Peer> {
        &self.0
    }

    fn call_for(&self, _: &super::super::Request, _: Option<&Waker>) -> super::super::Calling {
        super::super::Calling::ended(Err(Status::unavailable("nobody")))
    }

    fn open(
        &self,
        _: super::super::Request,
        _: Option<crate::stream::Outbound>,
    ) -> BoxFuture<'_, Result<crate::stream::Items>> {
        Box::pin(async { Err(Status::unavailable("nobody")) })
    }

    fn is_open(&self) -> bool {
        true
    }

    fn close(&self) {}
}

impl Transport for Path {
    fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        dispatch: Arc<dyn Dispatch>,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>>> {
        self.network.listen(address, dispatch)
    }

    fn connect<'a>(
        &'a self,
        _: &'a Address,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Connection>>> {
        Box::pin(async {
            self.tried.fetch_add(1, Ordering::Relaxed);
            if self.is_blocked.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
            if self.refuses.load(Ordering::Relaxed) {
                return Err(Status::unavailable(format!("refused over {}", self.scheme)));
            }
            let service = Some(self.scheme.to_owned());
            let peer = crate::context::Peer { service, ..Default::default() };
            Ok(Arc::new(Open(Arc::new(peer))) as Arc<dyn Connection>)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn both() -> (Arc<Path>, Arc<Path>, Fallback, Address) {
    let (quic, tcp) = (Path::new("quic"), Path::new("tcp"));
    let fallback = Fallback::new(quic.clone(), tcp.clone());
    (quic, tcp, fallback, Address::new("quic", "192.0.2.1:7"))
}

async fn over(fallback: &Fallback, address: &Address) -> String {
    let connection = fallback.connect(address, "greeter").await.expect("connects");
    connection.peer().service.clone().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn the_first_is_taken_where_it_answers() {
    let (quic, tcp, fallback, address) = both();
    assert_eq!(over(&fallback, &address).await, "quic");
    assert_eq!((quic.tried(), tcp.tried()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_second_is_taken_where_nobody_answers_and_remembered_for_a_while() {
    let (quic, tcp, fallback, address) = both();
    quic.is_blocked.store(true, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!(over(&fallback, &address).await, "tcp");
    assert_eq!(began.elapsed(), HEAD_START);
    assert_eq!(over(&fallback, &address).await, "tcp");
    assert_eq!(began.elapsed(), HEAD_START, "at once");
    assert_eq!((quic.tried(), tcp.tried()), (1, 2));
    tokio::time::advance(REMEMBERED).await;
    quic.is_blocked.store(false, Ordering::Relaxed);
    assert_eq!(over(&fallback, &address).await, "quic");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_both_is_that_of_the_first() {
    let (quic, tcp, fallback, address) = both();
    quic.refuses.store(true, Ordering::Relaxed);
    tcp.refuses.store(true, Ordering::Relaxed);
    let status = fallback.connect(&address, "greeter").await.expect_err("refused");
    assert_eq!(status.message(), "refused over quic");
}
