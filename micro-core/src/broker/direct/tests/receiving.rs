//! The subscriber's side: what becomes of messages that arrive.

use super::*;

/// A stream to a broker that receives.
struct Sender {
    sink: Option<ItemSink>,
    answers: Items,
    serving: tokio::task::JoinHandle<Result<(), Status>>,
    sent: u64,
}

impl Sender {
    async fn new(broker: &DirectBroker) -> Self {
        let (sink, outbound) = stream::items();
        let (answering, answers) = stream::items();
        #[expect(clippy::disallowed_methods, reason = "its result matters")]
        let serving = tokio::spawn(broker.serve(Items::sent(outbound), answering));
        sink.send(frame::declare(0, &wanted("orders"))).await.expect("is there");
        Self { sink: Some(sink), answers: Items::sent(answers), serving, sent: 0 }
    }

    /// Sends messages as one item.
    async fn send(&mut self, numbers: impl IntoIterator<Item = u128>) {
        let mut item = bytes::BytesMut::new();
        frame::begin_events(&mut item, 0, 1);
        for n in numbers {
            item.extend_from_slice(&frame::record(&message(n)));
            self.sent += 1;
        }
        let sink = self.sink.as_ref().expect("open");
        sink.send(item.freeze()).await.expect("is there");
    }

    /// The next answer.
    async fn answer(&mut self) -> Option<Up> {
        let item = timeout(Duration::from_secs(60), self.answers.next()).await.expect("in time")?;
        Some(Up::read(item.expect("open")).expect("valid"))
    }

    /// Sends one message and hears what became of it.
    async fn ask(&mut self, n: u128) -> Verdict {
        self.send([n]).await;
        let at = self.sent - 1;
        self.expect(at).await
    }

    async fn expect(&mut self, at: u64) -> Verdict {
        match self.answer().await.expect("an answer") {
            Up::Done { number: 0, mut ranges } => {
                assert_eq!(ranges.next().expect("valid"), Some((at, 1)));
                Verdict::Ack
            }
            Up::Failed { number: 0, at: found, verdict } if found == at => verdict,
            other => panic!("{other:?}"),
        }
    }
}

/// A broker that only receives.
fn receiver() -> DirectBroker {
    let courier = Arc::new(Fake(Arc::new(|_: &Instance, _: &Message| answer(nobody))));
    DirectBroker::new(Vec::new(), Arc::new(MemoryRegistry::new()), courier).expect("starts")
}

#[tokio::test(start_paused = true)]
async fn receiving_answers_what_became_of_the_message() {
    let broker = receiver();
    let mut sender = Sender::new(&broker).await;
    assert_eq!(sender.ask(1).await, Verdict::Released, "nobody listens");
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let handle = async {
        subscription.next().await.expect("open").ack();
        subscription.next().await.expect("open").nack("no such customer");
        drop(subscription.next().await.expect("open"));
        subscription.next().await.expect("open").release();
    };
    let ask = async {
        let mut answers = Vec::new();
        for n in 1..=4 {
            answers.push(sender.ask(n).await);
        }
        answers
    };
    let (answers, ()) = tokio::join!(ask, handle);
    let nack = |reason: &str| Verdict::Nack(reason.into());
    let dropped = nack("it was dropped");
    assert_eq!(answers, [Verdict::Ack, nack("no such customer"), dropped, Verdict::Released]);
    // All is answered: the stream ends with its sender.
    sender.sink = None;
    sender.serving.await.expect("runs").expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn what_is_handled_together_is_answered_together() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut sender = Sender::new(&broker).await;
    sender.send(1..=64).await;
    for _ in 0..64 {
        subscription.next().await.expect("open").ack();
    }
    let Some(Up::Done { mut ranges, .. }) = sender.answer().await else { panic!("done") };
    assert_eq!(ranges.next().expect("valid"), Some((0, 64)));
    assert_eq!(ranges.next().expect("valid"), None);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_is_handled_once() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let (mut one, mut other) = (Sender::new(&broker).await, Sender::new(&broker).await);
    let handle = async {
        let delivery = subscription.next().await.expect("open");
        sleep(Duration::from_secs(10)).await;
        delivery.ack();
    };
    let (first, second, ()) = tokio::join!(one.ask(1), other.ask(1), handle);
    assert_eq!((first, second), (Verdict::Ack, Verdict::Ack));
    assert_eq!(one.ask(1).await, Verdict::Ack, "was handled already");
    // Who asked is gone: it is handled nevertheless, and the next to ask hears of it.
    other.send([2]).await;
    idle().await;
    other.serving.abort();
    subscription.next().await.expect("open").ack();
    assert_eq!(one.ask(2).await, Verdict::Ack, "was handled already");
    assert!(timeout(Duration::from_secs(60), subscription.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_failed_may_come_again() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut sender = Sender::new(&broker).await;
    let handle = async {
        subscription.next().await.expect("open").nack("not yet");
        subscription.next().await.expect("open").ack();
    };
    let ask = async { (sender.ask(1).await, sender.ask(1).await) };
    let ((first, second), ()) = tokio::join!(ask, handle);
    assert_eq!((first, second), (Verdict::Nack("not yet".into()), Verdict::Ack));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_begins_goes_back_soon() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut sender = Sender::new(&broker).await;
    let began = Instant::now();
    assert_eq!(sender.ask(1).await, Verdict::Released, "nobody takes it");
    assert_eq!(began.elapsed(), inbox::ACCEPT_WAIT);
    assert!(timeout(Duration::from_secs(1), subscription.next()).await.is_err());
    let leave = async {
        idle().await;
        drop(subscription);
    };
    let (left, ()) = tokio::join!(sender.ask(2), leave);
    assert_eq!(left, Verdict::Released, "the subscriber leaves");
}

#[tokio::test(start_paused = true)]
async fn what_waits_here_is_bounded() {
    let broker = receiver();
    let _subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut sender = Sender::new(&broker).await;
    let began = Instant::now();
    let most = line::MAX_ITEMS as u64;
    sender.send(1..=u128::from(most) + 100).await;
    for at in most..most + 100 {
        assert_eq!(sender.expect(at).await, Verdict::Released);
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "at once");
    for at in 0..most {
        assert_eq!(sender.expect(at).await, Verdict::Released);
    }
    assert_eq!(began.elapsed(), inbox::ACCEPT_WAIT);
}

#[tokio::test(start_paused = true)]
async fn one_wrong_message_spoils_no_other() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut sender = Sender::new(&broker).await;
    let mut item = bytes::BytesMut::new();
    frame::begin_events(&mut item, 0, 1);
    let other = Message { topic: Topic::parse("users").expect("topic"), ..message(1) };
    item.extend_from_slice(&frame::record(&other));
    item.extend_from_slice(&frame::record(&message(2)));
    sender.sink.as_ref().expect("open").send(item.freeze()).await.expect("is there");
    assert!(matches!(sender.expect(0).await, Verdict::Nack(_)));
    subscription.next().await.expect("open").ack();
    assert_eq!(sender.expect(1).await, Verdict::Ack);
    // What is no item ends the stream.
    let sink = sender.sink.take().expect("open");
    sink.send(frame::declare(9, &wanted("orders"))).await.expect("is there");
    let ended = sender.serving.await.expect("runs").expect_err("the protocol is broken");
    assert_eq!(ended.code(), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_answers_what_it_took_and_takes_no_more() {
    let broker = receiver();
    let mut subscription = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let mut sender = Sender::new(&broker).await;
    sender.send([1]).await;
    let taken = subscription.next().await.expect("open");
    broker.stop_receiving();
    assert_eq!(sender.answer().await, Some(Up::Closing));
    assert_eq!(sender.ask(2).await, Verdict::Released);
    taken.ack();
    assert_eq!(sender.expect(0).await, Verdict::Ack);
    sender.sink = None;
    sender.serving.await.expect("runs").expect("ends well");
    let mut late = Sender::new(&broker).await;
    assert_eq!(late.answer().await, Some(Up::Closing));
}

#[tokio::test(start_paused = true)]
async fn what_a_process_listens_to_is_told_once_for_each_change() {
    let broker = receiver();
    let mut told = broker.own_subscriptions();
    assert!(told.borrow_and_update().is_empty());
    let first = broker.subscribe(wanted("orders")).await.expect("subscribes");
    let second = broker.subscribe(wanted("orders")).await.expect("subscribes");
    assert_eq!(*told.borrow_and_update(), [wanted("orders").into()]);
    drop(first);
    assert!(!told.has_changed().expect("open"), "somebody still listens");
    drop(second);
    assert!(told.borrow_and_update().is_empty());
    let _third = broker.subscribe(wanted("users")).await.expect("subscribes");
    let closed = broker.close(Instant::now()).await;
    assert_eq!(closed, 0);
    assert!(told.borrow_and_update().is_empty(), "a process that closes wants no more");
}
