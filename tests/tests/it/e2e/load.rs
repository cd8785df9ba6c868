//! Callers that call until they are told to stop, and what became of each call.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use micro::{Code, Status};
use micro_core::Executed;
use micro_tests::process::BOUND;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What became of one call, by its id.
pub(super) type Called = (u64, Result<u64, Status>);

/// Callers at work.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    succeeded: watch::Receiver<u64>,
    callers: JoinSet<Vec<Called>>,
}

impl Load {
    /// That many callers, each of which makes one call after the other, every call with an id of its own.
    pub(super) fn start<C, F>(callers: usize, call: C) -> Self
    where
        C: Fn(u64) -> F + Clone + Send + 'static,
        F: Future<Output = Result<u64, Status>> + Send,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, succeeded) = watch::channel(0);
        let ids = Arc::new(AtomicU64::new(0));
        let mut all = JoinSet::new();
        for _ in 0..callers {
            let (stop, sender, ids, call) =
                (stop.clone(), sender.clone(), ids.clone(), call.clone());
            all.spawn(async move {
                let mut called = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    let outcome = call(id).await;
                    if outcome.is_ok() {
                        sender.send_modify(|count| *count += 1);
                    }
                    called.push((id, outcome));
                }
                called
            });
        }
        Self { stop, succeeded, callers: all }
    }

    /// Waits until that many calls more have succeeded.
    pub(super) async fn more(&mut self, count: u64) {
        let wanted = *self.succeeded.borrow() + count;
        let reached = self.succeeded.wait_for(|now| *now >= wanted);
        assert!(timeout(BOUND, reached).await.is_ok_and(|r| r.is_ok()), "the calls have stopped");
    }

    /// Lets every caller end its last call.
    pub(super) async fn stop(self) -> Vec<Called> {
        self.stop.store(true, Ordering::Relaxed);
        let all = timeout(BOUND, self.callers.join_all()).await.expect("every call ends");
        all.into_iter().flatten().collect()
    }
}

/// Those that failed, as text.
pub(super) fn failed(called: &[Called]) -> Vec<String> {
    called
        .iter()
        .filter_map(|(id, outcome)| Some(format!("{id}: {}", outcome.as_ref().err()?)))
        .collect()
}

/// Compares what the callers were told with how often each call ran. Returns how many failed.
pub(super) fn audit(called: &[Called], ran: &std::collections::BTreeMap<u64, usize>) -> usize {
    let mut failed = 0;
    for (id, outcome) in called {
        let times = ran.get(id).copied().unwrap_or_default();
        match outcome {
            Ok(answer) => {
                assert_eq!(answer, id, "the answer of another call");
                assert_eq!(times, 1, "call {id} succeeded");
            }
            Err(status) => {
                failed += 1;
                let code = status.code();
                assert!(matches!(code, Code::Unavailable | Code::DeadlineExceeded), "{status}");
                let fits = match status.executed() {
                    Executed::No => times == 0,
                    Executed::Maybe => times <= 1,
                    Executed::Yes => times == 1,
                };
                assert!(fits, "call {id} ran {times} times: {:?}: {status}", status.executed());
            }
        }
    }
    failed
}
