use super::*;
use crate::wire::tests::documented;

fn to(pattern: &str) -> Subscribe {
    let pattern = Pattern::parse(pattern).expect("pattern");
    Subscribe { pattern, group: "billing".into(), broadcast: true }
}

fn message() -> Message {
    let mut metadata = Metadata::new();
    metadata.insert("tenant", "acme").expect("valid");
    Message {
        id: Id::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        topic: Topic::parse("orders.created").expect("topic"),
        key: Some("7".into()),
        encoding: Encoding::Json,
        correlation: Some(Id::from_u128(7)),
        metadata,
        body: Bytes::from_static(b"{\"id\":7}"),
    }
}

fn plain() -> Message {
    let (id, key, correlation) = (Id::from_u128(2), None, None);
    let (metadata, encoding) = (Metadata::new(), Encoding::MessagePack);
    Message { id, key, correlation, metadata, encoding, ..message() }
}

fn events(number: u32, attempt: u32, messages: &[Message]) -> Bytes {
    let mut item = BytesMut::new();
    begin_events(&mut item, number, attempt);
    messages.iter().for_each(|message| item.extend_from_slice(&record(message)));
    item.freeze()
}

/// Everything in an item of messages, or the first problem.
fn read(item: Bytes) -> Result<(u32, u32, Vec<Message>)> {
    let Down::Events { number, attempt, mut records } = Down::read(item)? else {
        return Err(Status::internal("not messages"));
    };
    let (to, mut topic, mut messages) = (to("orders.*"), None, Vec::new());
    while let Some(record) = records.next()? {
        messages.push(record.read(&to, &mut topic)?);
    }
    Ok((number, attempt, messages))
}

fn all_up() -> Vec<Bytes> {
    let verdicts = [Verdict::Nack("no such sku".into()), Verdict::Released, Verdict::Lost];
    let mut all = vec![closing(), done(3, [(0, 64), (70, 1)])];
    all.extend(verdicts.iter().map(|verdict| failed(3, 9, verdict)));
    all
}

#[test]
fn messages_arrive_as_they_were_sent() {
    let sent = [message(), plain(), Message { body: Bytes::new(), ..message() }];
    let (number, attempt, got) = read(events(7, 3, &sent)).expect("valid");
    assert_eq!((number, attempt), (7, 3));
    assert_eq!(format!("{got:?}"), format!("{sent:?}"));
    assert_eq!(got[0].metadata, sent[0].metadata);
}

#[test]
fn bodies_are_not_copied() {
    let item = events(0, 1, &[message(), plain()]);
    let (_, _, got) = read(item.clone()).expect("valid");
    assert!(got.iter().all(|message| item.as_ptr_range().contains(&message.body.as_ptr())));
}

#[test]
fn subscriptions_and_answers_arrive_as_they_were_sent() {
    let to = to("orders.>");
    assert_eq!(Down::read(declare(5, &to)).expect("valid"), Down::Declare { number: 5, to });
    let Ok(Up::Done { number: 3, mut ranges }) = Up::read(done(3, [(1 << 40, 2), (9, 1)])) else {
        panic!("done");
    };
    assert_eq!(ranges.next().expect("valid"), Some((1 << 40, 2)));
    assert_eq!(ranges.next().expect("valid"), Some((9, 1)));
    assert_eq!(ranges.next().expect("valid"), None);
    for verdict in [Verdict::Nack("ä".into()), Verdict::Released, Verdict::Lost] {
        let read = Up::read(failed(3, 9, &verdict)).expect("valid");
        assert_eq!(read, Up::Failed { number: 3, at: 9, verdict });
    }
    assert_eq!(Up::read(closing()).expect("valid"), Up::Closing);
    let Ok(Up::Failed { verdict: Verdict::Nack(reason), .. }) =
        Up::read(failed(0, 0, &Verdict::Nack("ä".repeat(5_000))))
    else {
        panic!("failed");
    };
    assert_eq!(reason, "ä".repeat(512));
}

#[test]
fn what_is_not_known_is_skipped() {
    let later = Bytes::from_static(&[200, 1, 2, 3]);
    assert_eq!(Down::read(later.clone()).expect("skipped"), Down::Unknown);
    assert_eq!(Up::read(later).expect("skipped"), Up::Unknown);
}

#[test]
fn what_a_peer_must_not_send_is_refused() {
    let refused = |change: fn(&mut Message)| {
        let mut message = message();
        change(&mut message);
        read(events(0, 1, &[message])).is_err()
    };
    assert!(!refused(|_| {}));
    assert!(refused(|message| message.id = Id::NIL));
    assert!(refused(|message| message.key = Some("k".repeat(2_000))));
    assert!(refused(|message| message.body = vec![0; MAX_BODY + 1].into()));
    assert!(refused(|message| message.topic = Topic::parse("users").expect("topic")));
    let wrong = Subscribe { group: "not a name".into(), ..to("a") };
    assert!(Down::read(declare(0, &wrong)).is_err());
}

#[test]
fn a_declared_length_takes_no_memory() {
    for length in [u32::MAX, MAX_RECORD as u32 + 1, 1] {
        let mut item = BytesMut::new();
        begin_events(&mut item, 0, 1);
        item.put_u32_le(length);
        assert!(read(item.freeze()).is_err());
    }
}

#[test]
fn cut_off_and_altered_bytes_never_panic() {
    let items = all_up()
        .into_iter()
        .chain([declare(1, &to("orders.*")), events(1, 1, &[message(), plain()])]);
    for item in items {
        let drain = |item: Bytes| {
            let _ = read(item.clone());
            if let Ok(Up::Done { mut ranges, .. }) = Up::read(item) {
                while let Ok(Some(_)) = ranges.next() {}
            }
        };
        for end in 0..item.len() {
            drain(item.slice(..end));
        }
        for at in 0..item.len() {
            for bit in 0..8 {
                let mut altered = item.to_vec();
                altered[at] ^= 1 << bit;
                drain(altered.into());
            }
        }
    }
    assert!(Down::read(Bytes::new()).is_err() && Up::read(Bytes::new()).is_err());
}

#[test]
fn the_bytes_of_every_item_are_those_of_the_specification() {
    let specified = [
        ("declare", declare(0, &to("orders.*"))),
        ("events", events(0, 1, &[message(), plain()])),
        ("done", done(0, [(0, 2), (5, 1)])),
        ("failed", failed(0, 2, &Verdict::Nack("no such sku".into()))),
        ("closing", closing()),
    ];
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    let documented = documented("```hex-events ");
    let shown: Vec<&str> = documented.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(shown, specified.each_ref().map(|(name, _)| *name));
    for ((name, item), (_, bytes)) in specified.iter().zip(&documented) {
        assert_eq!(hex(item), hex(bytes), "{name}");
    }
}
