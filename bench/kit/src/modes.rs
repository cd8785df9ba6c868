//! What the client half does besides closed-loop calls.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::args::{Cell, Mode};
use crate::clock;
use crate::load::{self, Window};
use crate::peer::{Caller, Client, Connection, Echo};
use crate::report::{Line, Times};
use crate::tally::Tally;

/// Payload of the callers that get in the way of small calls.
const BULK: usize = 1 << 20;
/// Items of the streams and messages of the fan-outs that only tell how many fit into the time.
const PROBE: u64 = 2_000;
/// Calls that wait on one connection: micro refuses more than 1,024.
const PER_CONNECTION: usize = 400;
/// How long to wait until a server has settled before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);

pub(crate) async fn run<C, F>(client: &Client, connect: impl Fn() -> F) -> Result<()>
where
    C: Connection,
    F: Future<Output = Result<C>>,
{
    let cells = &client.measure.cells;
    match client.mode() {
        Mode::Calls => {
            let connection = connect().await?;
            for cell in cells {
                load::calls(client, &connection, *cell).await?;
            }
        }
        Mode::Beside => {
            let connection = connect().await?;
            for cell in cells {
                beside(client, &connection, *cell).await?;
            }
        }
        Mode::Stream => {
            let connection = connect().await?;
            for cell in cells {
                stream(client, &connection, *cell).await?;
            }
        }
        Mode::Handshakes => {
            for cell in cells {
                handshakes(client, &connect, *cell).await?;
            }
        }
        Mode::Idle => {
            for cell in cells {
                idle(client, &connect, *cell).await?;
            }
        }
        Mode::Hold => {
            for cell in cells {
                hold(client, &connect, *cell).await?;
            }
        }
        Mode::Fanout => bail!("unsupported: this variant has no fan-out"),
    }
    Ok(())
}

/// One caller of small bodies beside `in_flight` callers of 1 MiB on the same connection.
async fn beside<C: Connection>(client: &Client, connection: &C, cell: Cell) -> Result<()> {
    let small = connection.caller(cell.size).await?;
    let window = Window::new(client.measure.seconds);
    let mut bulk = Vec::new();
    for slot in 1..=cell.in_flight {
        let caller = connection.caller(BULK).await?;
        bulk.push(tokio::spawn(load::closed_loop(caller, slot, BULK, window)));
    }
    let mut times = Times::default();
    times.extend(tokio::spawn(load::closed_loop(small, 0, cell.size, window)).await??);
    for task in bulk {
        task.await??;
    }
    Line::new(client, cell).calls(times, client.measure.seconds).print()
}

/// `in_flight` server streams at once, each with as many items as fit into the time.
async fn stream<C: Connection>(client: &Client, connection: &C, cell: Cell) -> Result<()> {
    let begun = Instant::now();
    streams(connection, PROBE, cell).await?;
    let rate = PROBE as f64 / begun.elapsed().as_secs_f64();
    let count = (rate * client.measure.seconds) as u64 + 1;
    // The first stream was cold, and told too little; this one is the warm-up.
    let begun = Instant::now();
    streams(connection, (count as f64 * 0.3) as u64 + 1, cell).await?;
    let rate = (count as f64 * 0.3) / begun.elapsed().as_secs_f64();
    let count = (rate * client.measure.seconds) as u64 + 1;

    let pids = &client.measure.server_pids;
    let (server, own) = (clock::cpu_of(pids), clock::own_cpu());
    let begun = Instant::now();
    streams(connection, count, cell).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let (server, own) = (clock::cpu_of(pids) - server, clock::own_cpu() - own);
    let total = count * cell.in_flight as u64;
    Line::new(client, cell).rate(total, seconds).cpu(server, own).print()
}

async fn streams<C: Connection>(connection: &C, count: u64, cell: Cell) -> Result<()> {
    let one = |connection: C| async move { connection.items(count, cell.size).await };
    let tasks: Vec<_> =
        (0..cell.in_flight).map(|_| tokio::spawn(one(connection.clone()))).collect();
    for task in tasks {
        let came = task.await??;
        ensure!(came == count, "a stream of {count} items had {came}");
    }
    Ok(())
}

/// New connections one after another, each with one call, in `in_flight` rows at once.
async fn handshakes<C, F>(client: &Client, connect: &impl Fn() -> F, cell: Cell) -> Result<()>
where
    C: Connection,
    F: Future<Output = Result<C>>,
{
    let window = Window::new(client.measure.seconds);
    let pids = &client.measure.server_pids;
    let mut times = Vec::new();
    let mut cpu = None;
    while Instant::now() < window.until || times.is_empty() {
        let begun = Instant::now();
        let batch: Vec<_> = (0..cell.in_flight).map(|_| first_call(connect, cell.size)).collect();
        for outcome in join_all(batch).await {
            outcome?;
        }
        if begun >= window.from {
            cpu.get_or_insert((clock::cpu_of(pids), clock::own_cpu(), begun));
            let each = begun.elapsed().as_nanos().min(u32::MAX.into()) as u32;
            times.extend(std::iter::repeat_n(each, cell.in_flight));
        }
    }
    let Some((server, own, begun)) = cpu else { bail!("not one handshake in the time") };
    let (server, own) = (clock::cpu_of(pids) - server, clock::own_cpu() - own);
    let mut all = Times::default();
    all.extend(times);
    Line::new(client, cell).calls(all, begun.elapsed().as_secs_f64()).cpu(server, own).print()
}

async fn first_call<C, F>(connect: &impl Fn() -> F, size: usize) -> Result<C>
where
    C: Connection,
    F: Future<Output = Result<C>>,
{
    let connection = connect().await?;
    let echo = connection.caller(size).await?.call(1).await?;
    ensure!(echo == Echo { id: 1, len: size }, "sent id 1 with {size} bytes, got {echo:?}");
    Ok(connection)
}

/// The server's memory for each of `in_flight` connections that have made one call and are silent. As many
/// come before, so that what a server allocates once is not counted.
async fn idle<C, F>(client: &Client, connect: &impl Fn() -> F, cell: Cell) -> Result<()>
where
    C: Connection,
    F: Future<Output = Result<C>>,
{
    let pids = &client.measure.server_pids;
    let mut open = Vec::with_capacity(2 * cell.in_flight);
    let mut memory = [0; 2];
    for bytes in &mut memory {
        for _ in 0..cell.in_flight {
            open.push(first_call(connect, cell.size).await?);
        }
        tokio::time::sleep(SETTLE).await;
        *bytes = clock::memory_of(pids);
    }
    let bytes = memory[1].saturating_sub(memory[0]);
    Line::new(client, cell).memory(cell.in_flight as u64, bytes).print()
}

/// The server's memory for each of `in_flight` calls that wait for an answer. Frameworks limit how many
/// may wait on one connection, so that these are on several, which are open before.
async fn hold<C, F>(client: &Client, connect: &impl Fn() -> F, cell: Cell) -> Result<()>
where
    C: Connection,
    F: Future<Output = Result<C>>,
{
    let pids = &client.measure.server_pids;
    let mut connections = Vec::new();
    for _ in 0..(2 * cell.in_flight).div_ceil(PER_CONNECTION) {
        connections.push(first_call(connect, cell.size).await?);
    }
    let each = connections.iter().flat_map(|c| std::iter::repeat_n(c, PER_CONNECTION));
    let mut each = each.cloned();
    let mut tasks = Vec::with_capacity(2 * cell.in_flight);
    let mut memory = [0; 2];
    for bytes in &mut memory {
        for connection in each.by_ref().take(cell.in_flight) {
            tasks.push(tokio::spawn(async move { connection.hold().await }));
        }
        tokio::time::sleep(SETTLE).await;
        *bytes = clock::memory_of(pids);
    }
    for task in tasks {
        if task.is_finished() {
            task.await?.context("a call that should never end")?;
            bail!("a call that should never end has ended");
        }
        task.abort();
    }
    let bytes = memory[1].saturating_sub(memory[0]);
    Line::new(client, cell).memory(cell.in_flight as u64, bytes).print()
}

/// One publisher and `in_flight` subscribers.
pub(crate) async fn fan_out<S, P>(
    client: &Client,
    subscribe: impl Fn(Tally) -> S,
    publish: impl Fn(u64, usize) -> P,
) -> Result<()>
where
    S: Future<Output = Result<()>>,
    P: Future<Output = Result<()>>,
{
    ensure!(client.mode() == Mode::Fanout, "unsupported: this variant only has fan-out");
    let subscribers = client.measure.cells[0].in_flight;
    let same = client.measure.cells.iter().all(|cell| cell.in_flight == subscribers);
    ensure!(same, "the cells of one run of fan-out have the same number of subscribers");
    let tally = Tally::default();
    for _ in 0..subscribers {
        subscribe(tally.clone()).await?;
    }
    let all = subscribers as u64;
    tokio::time::sleep(SETTLE).await;
    for cell in &client.measure.cells {
        let publish = async |count: u64| {
            let begun = Instant::now();
            tally.want(tally.count() + count * all);
            publish(count, cell.size).await?;
            let lost = tally.reached().await;
            anyhow::Ok((begun.elapsed().as_secs_f64(), lost))
        };
        // Who connects only when there is something to send does so first, and finds in peace how large
        // the datagrams may be: a round trip for each guess, and under load those are long. Then twice as
        // many, until they take long enough to tell the rate, and once more for that.
        let mut probe = (PROBE / all).max(10);
        publish(probe).await?;
        tokio::time::sleep(SETTLE).await;
        let fits = |count: u64, took: f64, time: f64| ((count as f64 / took * time) as u64).max(1);
        let seconds = loop {
            let (seconds, _) = publish(probe).await?;
            if seconds > client.measure.seconds * 0.1 {
                break seconds;
            }
            probe *= 2;
        };
        let warm = fits(probe, seconds, client.measure.seconds * 0.3);
        let (seconds, _) = publish(warm).await?;
        let count = fits(warm, seconds, client.measure.seconds);

        let pids = &client.measure.server_pids;
        let (server, own) = (clock::cpu_of(pids), clock::own_cpu());
        let (seconds, lost) = publish(count).await?;
        let (server, own) = (clock::cpu_of(pids) - server, clock::own_cpu() - own);
        let line = Line::new(client, *cell).rate(count * all - lost, seconds);
        line.cpu(server, own).lost(lost).print()?;
    }
    Ok(())
}

/// Drives all of them at once. Few enough that polling each is no matter.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
