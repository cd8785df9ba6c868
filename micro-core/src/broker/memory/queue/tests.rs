use super::*;
use crate::codec::Encoding;
use crate::id::Id;
use crate::metadata::Metadata;
use crate::topic::Topic;

/// A queue and its clock.
struct Bench {
    queue: Queue,
    now: Instant,
    effects: Effects,
    count: u128,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        let queue = Queue::new(Arc::new(limits));
        Self { queue, now: Instant::now(), effects: Effects::default(), count: 0 }
    }

    fn push(&mut self, key: Option<&str>) -> u64 {
        self.count += 1;
        let key = key.map(str::to_owned);
        let message = Message { key, ..self.message(vec![b'0']) };
        let message = Arc::new(Packed::new(Arc::new(message)));
        assert!(self.queue.has_room(message.cost));
        assert!(self.queue.push(&message, self.now, &mut self.effects));
        self.queue.entries.next() + self.queue.fresh.len() as u64 - 1
    }

    /// A message with a body of this size, that may begin a run.
    fn push_of(&mut self, size: usize, begins_run: bool) {
        self.count += 1;
        let mut packed = Packed::new(Arc::new(self.message(vec![0; size])));
        packed.begins_run = begins_run;
        assert!(self.queue.push(&Arc::new(packed), self.now, &mut self.effects));
    }

    fn message(&self, body: Vec<u8>) -> Message {
        Message {
            id: Id::from_u128(self.count),
            topic: Topic::parse("t").expect("topic"),
            key: None,
            encoding: Encoding::Json,
            correlation: None,
            metadata: Metadata::new(),
            body: body.into(),
        }
    }

    fn join(&mut self, member: u64) {
        let wait = self.queue.limits.ack_wait;
        self.queue.join(member, wait, false);
    }

    fn poll(&mut self, member: u64) -> Option<(u64, u32)> {
        self.poll_many(member, 1).pop()
    }

    fn poll_many(&mut self, member: u64, messages: usize) -> Vec<(u64, u32)> {
        let (most, mut taken) = (Most { messages, bytes: usize::MAX }, Vec::new());
        let into = (most, &mut taken);
        self.queue.poll(member, self.now, Waker::noop(), into, &mut self.effects);
        taken.iter().map(|handout| (handout.seq, handout.attempt)).collect()
    }

    fn settle(&mut self, (seq, attempt): (u64, u32), verdict: Verdict) {
        self.queue.settle(seq, attempt, verdict, self.now, &mut self.effects);
        self.queue.serve(self.now, &mut self.effects);
        self.check();
    }

    fn nack(&mut self, handout: (u64, u32)) {
        self.settle(handout, Verdict::Nack("no".into()));
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.queue.tick(self.now, &mut self.effects);
        self.check();
    }

    /// Lets everything that is delayed become ready.
    fn wait(&mut self) {
        let due = self.queue.next_due().expect("something is due");
        self.advance(due.saturating_duration_since(self.now));
    }

    /// The invariants.
    fn check(&self) {
        let queue = &self.queue;
        let entries = || queue.entries.iter().map(|(_, entry)| entry);
        assert_eq!(entries().count() + queue.fresh.len(), queue.len());
        let messages = entries().map(|entry| &entry.message).chain(&queue.fresh);
        assert_eq!(messages.map(|message| message.cost).sum::<usize>(), queue.bytes);
        let (mut ready, mut delayed, mut behind) = (0, 0, 0);
        for entry in entries() {
            match entry.place {
                Place::Behind => behind += 1,
                Place::Delayed(_) => delayed += 1,
                Place::Out { until, .. } => assert!(queue.sweep.is_some_and(|at| at <= until)),
                Place::Ready => ready += 1,
            }
        }
        assert_eq!((ready, delayed), (queue.again.len(), queue.delayed.len()));
        assert_eq!(behind, queue.keys.values().map(VecDeque::len).sum::<usize>());
        for member in &queue.members {
            let out = |entry: &&Entry| matches!(entry.place, Place::Out { member: id, .. } if id == member.id);
            assert_eq!(member.out, entries().filter(out).count());
            let bytes: usize = entries().filter(out).map(|entry| entry.message.size).sum();
            assert_eq!(member.bytes, bytes);
        }
    }
}

#[test]
fn a_batch_is_bounded_in_messages_in_bytes_and_by_the_window() {
    let mut bench = Bench::new(|limits| limits.window = 6);
    let seqs: Vec<u64> = (0..10).map(|_| bench.push(None)).collect();
    bench.join(1);
    let first = bench.poll_many(1, 4);
    assert_eq!(first, seqs[..4].iter().map(|seq| (*seq, 1)).collect::<Vec<_>>());
    assert_eq!(bench.poll_many(1, 4).len(), 2, "the window");
    assert_eq!(bench.poll_many(1, 4), []);
    first.into_iter().for_each(|handout| bench.settle(handout, Verdict::Ack));
    // The first of them was given already, since the member waited.
    let (most, mut taken) = (Most { messages: 4, bytes: 60 }, Vec::new());
    bench.queue.poll(1, bench.now, Waker::noop(), (most, &mut taken), &mut bench.effects);
    assert_eq!(taken.iter().map(|handout| handout.seq).collect::<Vec<_>>(), seqs[6..8]);
    bench.check();
}

#[test]
fn who_takes_batches_waits_until_half_of_the_window_is_free() {
    let mut bench = Bench::new(|limits| limits.window = 8);
    (0..20).for_each(|_| bench.push_of(1, false));
    bench.queue.join(1, Duration::from_secs(30), true);
    let out = bench.poll_many(1, 100);
    assert_eq!(out.len(), 8);
    assert_eq!(bench.poll_many(1, 100), []);
    out[..4].iter().for_each(|handout| bench.settle(*handout, Verdict::Ack));
    assert_eq!(bench.effects.wake.len(), 0, "not for one after the other");
    bench.settle(out[4], Verdict::Ack);
    assert_eq!((bench.effects.wake.len(), bench.poll_many(1, 100).len()), (1, 5));
    bench.check();
}

#[test]
fn a_batch_ends_where_a_run_does_if_it_holds_enough() {
    let mut bench = Bench::new(|_| {});
    for run in [false, true, false, false, true, false] {
        bench.push_of(20 * 1024, run);
    }
    bench.join(1);
    let (most, mut taken) = (Most { messages: 9, bytes: usize::MAX }, Vec::new());
    bench.queue.poll(1, bench.now, Waker::noop(), (most, &mut taken), &mut bench.effects);
    assert_eq!(taken.len(), 4, "one message is not enough, four are");
    let into = (most, &mut taken);
    bench.queue.poll(1, bench.now, Waker::noop(), into, &mut bench.effects);
    assert_eq!(taken.len(), 6);
}

#[test]
fn the_window_is_one_of_bytes_too() {
    let mut bench = Bench::new(|_| {});
    (0..4).for_each(|_| bench.push_of(WINDOW_BYTES / 2, false));
    bench.join(1);
    let out = bench.poll_many(1, 9);
    assert_eq!((out.len(), bench.poll_many(1, 9).len()), (2, 0));
    bench.settle(out[0], Verdict::Ack);
    assert_eq!(bench.poll_many(1, 9).len(), 1);
    bench.check();
}

#[test]
fn messages_come_in_order_up_to_the_window() {
    let mut bench = Bench::new(|limits| limits.window = 2);
    let seqs: Vec<u64> = (0..3).map(|_| bench.push(None)).collect();
    bench.join(1);
    assert_eq!(bench.poll(1), Some((seqs[0], 1)));
    assert_eq!(bench.poll(1), Some((seqs[1], 1)));
    assert_eq!(bench.poll(1), None);
    bench.settle((seqs[0], 1), Verdict::Ack);
    assert_eq!(bench.poll(1), Some((seqs[2], 1)));
    assert_eq!(bench.queue.len(), 2);
}

#[test]
fn one_message_of_a_key_is_out_and_others_pass_it() {
    let mut bench = Bench::new(|_| {});
    let (a1, a2, b1) = (bench.push(Some("a")), bench.push(Some("a")), bench.push(Some("b")));
    bench.join(1);
    assert_eq!(bench.poll(1), Some((a1, 1)));
    assert_eq!(bench.poll(1), Some((b1, 1)));
    assert_eq!(bench.poll(1), None);
    bench.nack((a1, 1));
    assert_eq!(bench.poll(1), None, "what failed holds its key while it waits");
    bench.wait();
    assert_eq!(bench.poll(1), Some((a1, 2)));
    bench.settle((a1, 2), Verdict::Ack);
    assert_eq!(bench.poll(1), Some((a2, 1)));
    bench.settle((a2, 1), Verdict::Ack);
    bench.settle((b1, 1), Verdict::Ack);
    assert!(bench.queue.keys.is_empty() && bench.queue.len() == 0);
}

#[test]
fn waits_grow_and_the_last_attempt_ends_in_a_dead_letter() {
    let mut bench = Bench::new(|_| {});
    let (first, second) = (bench.push(Some("k")), bench.push(Some("k")));
    bench.join(1);
    let mut waits = Vec::new();
    for attempt in 1..=5 {
        let begin = bench.now;
        assert_eq!(bench.poll(1), Some((first, attempt)));
        bench.nack((first, attempt));
        if attempt < 5 {
            bench.wait();
            waits.push((bench.now - begin).as_millis());
        }
    }
    for (wait, base) in waits.into_iter().zip([100, 200, 400, 800]) {
        assert!((base..=base * 3 / 2).contains(&wait), "{wait} ms after {base} ms");
    }
    let dead = bench.effects.dead.pop().expect("a dead letter");
    assert_eq!((dead.reason.as_str(), dead.attempts), ("no", 5));
    assert_eq!(bench.poll(1), Some((second, 1)), "the key goes on");
    assert!(!bench.queue.knows(&dead.message), "so that it can be revived");
}

#[test]
fn backoff_ends_at_its_longest() {
    let limits = Limits::default();
    for attempt in 1..200 {
        let wait = limits.wait_after(attempt);
        assert!((limits.backoff.0..=limits.backoff.1).contains(&wait));
    }
}

#[test]
fn those_who_have_least_get_the_next_and_equals_take_turns() {
    let mut bench = Bench::new(|_| {});
    bench.join(1);
    bench.join(2);
    let mut got = Vec::new();
    for _ in 0..4 {
        assert_eq!((bench.poll(1), bench.poll(2)), (None, None));
        let seq = bench.push(None);
        for member in [1, 2] {
            if let Some(handout) = bench.poll(member) {
                assert_eq!(handout, (seq, 1));
                got.push(member);
                bench.settle(handout, Verdict::Ack);
            }
        }
    }
    assert_eq!(got, [1, 2, 1, 2]);
    // Member 1 keeps what it has: member 2 gets all others.
    bench.push(None);
    let kept = bench.poll(1).or_else(|| bench.poll(2)).expect("is there");
    let other = if bench.queue.members[0].out == 1 { 2 } else { 1 };
    for _ in 0..3 {
        assert_eq!((bench.poll(1), bench.poll(2)), (None, None));
        bench.push(None);
        let handout = bench.poll(other).expect("goes to the idle one");
        bench.settle(handout, Verdict::Ack);
    }
    bench.settle(kept, Verdict::Ack);
}

#[test]
fn what_a_member_leaves_behind_goes_to_another_at_once() {
    let mut bench = Bench::new(|_| {});
    bench.join(1);
    assert_eq!(bench.poll(1), None);
    let given = bench.push(None);
    let taken = bench.push(None);
    bench.queue.leave(1, bench.now, &mut bench.effects);
    bench.check();
    bench.join(2);
    assert_eq!(bench.poll(2), Some((given, 1)), "it was never seen: no attempt");
    assert_eq!(bench.poll(2), Some((taken, 1)));
    bench.queue.leave(2, bench.now, &mut bench.effects);
    bench.join(3);
    assert_eq!(bench.poll(3), None, "member 2 may still finish");
    bench.settle((taken, 1), Verdict::Dropped);
    assert_eq!(bench.poll(3), Some((taken, 2)), "and did not: at once");
    bench.settle((given, 1), Verdict::Ack);
    assert_eq!(bench.queue.len(), 1);
}

#[test]
fn a_handler_that_vanishes_each_time_ends_in_a_dead_letter() {
    let mut bench = Bench::new(|_| {});
    let seq = bench.push(None);
    bench.join(1);
    for attempt in 1..=5 {
        assert_eq!(bench.poll(1), Some((seq, attempt)));
        bench.settle((seq, attempt), Verdict::Lost);
    }
    assert_eq!(bench.effects.dead.len(), 1);
    let seq = bench.push(None);
    for _ in 1..=50 {
        assert_eq!(bench.poll(1), Some((seq, 1)), "what was never begun is no attempt");
        bench.settle((seq, 1), Verdict::Released);
    }
}

#[test]
fn what_is_not_acknowledged_in_time_comes_again_and_a_late_answer_still_counts() {
    let mut bench = Bench::new(|_| {});
    let seq = bench.push(None);
    bench.join(1);
    bench.join(2);
    assert_eq!(bench.poll(1), Some((seq, 1)));
    bench.advance(Duration::from_secs(29));
    assert_eq!(bench.poll(2), None);
    bench.advance(Duration::from_secs(1));
    bench.wait();
    assert_eq!(bench.poll(2), Some((seq, 2)));
    bench.settle((seq, 1), Verdict::Nack("late".into()));
    assert_eq!(bench.queue.len(), 1, "a late failure is no news");
    bench.settle((seq, 1), Verdict::Ack);
    assert_eq!(bench.queue.len(), 0, "a late success is");
    bench.settle((seq, 2), Verdict::Ack);
    assert_eq!(bench.effects.acknowledged, 1);
}

#[test]
fn a_message_that_nobody_fetches_is_taken_back_without_blame() {
    let mut bench = Bench::new(|_| {});
    bench.join(1);
    assert_eq!(bench.poll(1), None);
    let seq = bench.push(None);
    bench.advance(Duration::from_secs(30));
    bench.join(2);
    assert_eq!(bench.poll(2), Some((seq, 1)));
}

#[test]
fn room_is_bounded_in_messages_and_in_bytes_and_comes_back() {
    let mut bench = Bench::new(|limits| limits.queue_messages = 16);
    let seqs: Vec<u64> = (0..16).map(|_| bench.push(None)).collect();
    assert!(!bench.queue.has_room(1));
    bench.join(1);
    assert_eq!(bench.poll(1), Some((seqs[0], 1)));
    assert!(!bench.effects.room);
    bench.settle((seqs[0], 1), Verdict::Ack);
    assert!(bench.effects.room && bench.queue.has_room(1));

    let mut bench = Bench::new(|limits| limits.queue_bytes = 1000);
    bench.push(None);
    let cost = bench.queue.bytes;
    assert!(bench.queue.has_room(1000 - cost));
    assert!(!bench.queue.has_room(1001 - cost));
}

/// Whatever happens in whatever order: nothing is lost, no key overtakes itself, the books balance.
#[test]
fn any_order_of_events_keeps_the_invariants() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    for _ in 0..200 {
        let mut bench = Bench::new(|limits| {
            limits.window = 3;
            limits.attempts = 3;
        });
        let (mut pushed, mut done) = (0, 0);
        let mut out: Vec<(u64, u32, Option<String>)> = Vec::new();
        let mut last = HashMap::new();
        let mut members = vec![1_u64];
        bench.join(1);
        for _ in 0..300 {
            match random(8) {
                0 | 1 => {
                    let key = ["", "a", "b", "c"][random(4) as usize];
                    bench.push((!key.is_empty()).then_some(key));
                    pushed += 1;
                }
                2 | 3 if !members.is_empty() => {
                    let member = members[random(members.len() as u64) as usize];
                    if let Some((seq, attempt)) = bench.poll(member) {
                        let key =
                            bench.queue.entries.get(seq).expect("out").message.message.key.clone();
                        if let Some(key) = &key {
                            assert!(out.iter().all(|o| o.2.as_ref() != Some(key)), "one at once");
                            let before = last.insert(key.clone(), seq).unwrap_or(0);
                            assert!(before <= seq, "in order");
                        }
                        out.push((seq, attempt, key));
                    }
                }
                4 | 5 if !out.is_empty() => {
                    let (seq, attempt, _) = out.swap_remove(random(out.len() as u64) as usize);
                    let verdict = match random(5) {
                        0 => Verdict::Nack("no".into()),
                        1 => Verdict::Dropped,
                        2 => Verdict::Released,
                        3 => Verdict::Lost,
                        _ => Verdict::Ack,
                    };
                    bench.settle((seq, attempt), verdict);
                }
                6 => {
                    if members.len() < 3 {
                        let member = 100 + random(1 << 30);
                        bench.join(member);
                        members.push(member);
                    } else {
                        let member = members.remove(0);
                        bench.queue.leave(member, bench.now, &mut bench.effects);
                    }
                }
                7 => bench.advance(Duration::from_millis(random(300))),
                _ => {}
            }
            bench.check();
            done = bench.effects.acknowledged as usize + bench.effects.dead.len();
            assert_eq!(pushed, done + bench.queue.len());
        }
        assert!(done > 0);
    }
}
