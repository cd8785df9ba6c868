//! Closed-loop load: callers that each make one call after another on a shared connection.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::args::Cell;
use crate::clock;
use crate::peer::{Caller, Client, Connection, Echo};
use crate::report::{Line, Times};

/// The part of a cell's time that comes before it and is not counted: buffers, congestion windows and
/// branch predictors are warm then.
const WARM_UP: f64 = 0.3;

/// When a cell begins to count and when it ends.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Window {
    pub(crate) fn new(seconds: f64) -> Self {
        let from = Instant::now() + Duration::from_secs_f64(seconds * WARM_UP);
        Self { from, until: from + Duration::from_secs_f64(seconds) }
    }
}

/// Measures one cell.
pub(crate) async fn calls<C: Connection>(
    client: &Client,
    connection: &C,
    cell: Cell,
) -> Result<()> {
    let mut callers = Vec::with_capacity(cell.in_flight);
    for _ in 0..cell.in_flight {
        callers.push(connection.caller(cell.size).await?);
    }
    let window = Window::new(client.measure.seconds);
    let tasks: Vec<_> = callers
        .into_iter()
        .enumerate()
        .map(|(slot, caller)| tokio::spawn(closed_loop(caller, slot, cell.size, window)))
        .collect();

    let pids = &client.measure.server_pids;
    tokio::time::sleep_until(window.from.into()).await;
    let (server, own) = (clock::cpu_of(pids), clock::own_cpu());
    tokio::time::sleep_until(window.until.into()).await;
    let (server, own) = (clock::cpu_of(pids) - server, clock::own_cpu() - own);

    let mut times = Times::default();
    for task in tasks {
        times.extend(task.await??);
    }
    let line = Line::new(client, cell).calls(times, client.measure.seconds).cpu(server, own);
    line.print()
}

/// Calls until the window closes; the nanoseconds of each call that ended inside of it.
pub(crate) async fn closed_loop(
    mut caller: impl Caller,
    slot: usize,
    size: usize,
    window: Window,
) -> Result<Vec<u32>> {
    let mut times = Vec::with_capacity(4096);
    let mut id = (slot as u64) << 32;
    let mut begun = Instant::now();
    loop {
        let echo = caller.call(id).await?;
        ensure!(echo == Echo { id, len: size }, "sent id {id} with {size} bytes, got {echo:?}");
        id += 1;
        // One look at the clock for each call: the end of one is the beginning of the next.
        let ended = Instant::now();
        if ended >= window.until {
            return Ok(times);
        }
        if ended >= window.from {
            times.push((ended - begun).as_nanos().min(u32::MAX.into()) as u32);
        }
        begun = ended;
    }
}
