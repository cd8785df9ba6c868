use super::splitter::{AHEAD, STEP};
use super::*;
use crate::status::{Executed, FaultBody};

fn head() -> Head {
    let mut metadata = Metadata::new();
    metadata.insert("tenant", "acme").expect("valid");
    Head {
        encoding: 1,
        repeated: true,
        time_left: Duration::from_millis(1500),
        correlation: Some(Id::from_u128(7)),
        metadata,
    }
}

/// As most calls have it.
fn usual() -> Head {
    Head { repeated: false, encoding: 0, metadata: Metadata::new(), ..head() }
}

fn frames() -> Vec<Frame> {
    let fault =
        FaultBody { name: "QuoteError".into(), encoding: 0, bytes: Bytes::from_static(b"x") };
    let status = Status::not_found("no such sku")
        .with_correlation(Id::from_u128(9))
        .with_executed(Executed::Yes)
        .with_retry_after(Duration::from_millis(20))
        .with_fault(fault);
    let end = |result| End { metadata: head().metadata, result };
    let body = Bytes::from_static(b"body");
    vec![
        Frame::Settings(Settings { version: 1, max_message: 4 << 20 }),
        Frame::Route(Route {
            id: 3,
            fingerprint: 7,
            service: "greeter".into(),
            method: "hello".into(),
        }),
        Frame::Contract { route: 3, contract: Bytes::from_static(b"contract") },
        Frame::Call(Call { id: 1 << 40, route: 3, head: head(), body: body.clone() }),
        Frame::Reply { id: 1 << 40, end: end(Ok(body.clone())) },
        Frame::Reply { id: 9, end: end(Err(status)) },
        Frame::Call(Call { id: 2, route: 3, head: usual(), body: body.clone() }),
        Frame::Reply { id: 2, end: End { metadata: Metadata::new(), result: Ok(body.clone()) } },
        Frame::Cancel { id: 9 },
        Frame::GoAway(GoAway { calls: 5, streams: 6 }),
        Frame::Open(Open {
            kind: 1,
            service: "greeter".into(),
            method: "ticks".into(),
            head: Head { correlation: None, ..head() },
            body: body.clone(),
        }),
        Frame::Item(body),
        Frame::End(end(Ok(Bytes::new()))),
    ]
}

fn bytes(frames: &[Frame]) -> Bytes {
    let mut out = BytesMut::new();
    for frame in frames {
        frame.put(&mut out);
    }
    out.freeze()
}

fn split(chunks: impl IntoIterator<Item = Bytes>) -> Vec<Frame> {
    let chunks: Vec<Bytes> = chunks.into_iter().collect();
    let copied = split_by(&chunks, |splitter, chunk| splitter.push_copy(chunk));
    let found = split_by(&chunks, |splitter, chunk| splitter.push(chunk.clone()));
    assert_eq!(copied, found);
    found
}

fn split_by(chunks: &[Bytes], push: impl Fn(&mut Splitter, &Bytes)) -> Vec<Frame> {
    let mut splitter = Splitter::new(MAX_LANE_FRAME);
    let mut found = Vec::new();
    for chunk in chunks {
        push(&mut splitter, chunk);
        while let Some(frame) = splitter.next().expect("valid") {
            found.push(Frame::read(frame).expect("valid"));
        }
    }
    assert!(!splitter.is_partial());
    found
}

#[test]
fn frames_survive_the_wire_however_it_is_cut() {
    let all = bytes(&frames());
    assert_eq!(split([all.clone()]), frames());
    for size in 1..all.len() {
        let chunks = (0..all.len()).step_by(size).map(|at| all.slice(at..all.len().min(at + size)));
        assert_eq!(split(chunks), frames(), "chunks of {size}");
    }
}

#[test]
fn a_cut_frame_is_an_error_and_no_panic() {
    for frame in frames() {
        let whole = bytes(&[frame]).slice(4..);
        for end in 0..whole.len() {
            // A shorter body is a valid frame; anything else must be refused, and nothing may panic.
            let _ = Frame::read(whole.slice(..end));
        }
    }
    assert_eq!(Frame::read(Bytes::new()), Err(WireError::Truncated));
}

#[test]
fn flipped_bits_never_panic() {
    for frame in frames() {
        let whole = bytes(&[frame]).slice(4..);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.to_vec();
                bent[at] ^= 1 << bit;
                let _ = Frame::read(bent.into());
            }
        }
    }
}

#[test]
fn a_declared_length_takes_no_memory() {
    let mut splitter = Splitter::new(MAX_LANE_FRAME);
    splitter.push(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]));
    assert_eq!(splitter.next(), Err(WireError::TooLarge));
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(Bytes::from_static(&[0, 0, 0, 0x40, 1]));
    assert_eq!(splitter.next(), Ok(None));
    assert!(splitter.partial.capacity() <= 2 * STEP);
    let mut splitter = Splitter::new(10);
    splitter.push(Bytes::from_static(&[0, 0, 0, 0]));
    assert_eq!(splitter.next(), Err(WireError::Invalid("length")));
}

#[test]
fn a_large_frame_takes_its_room_in_few_steps_and_never_far_ahead() {
    let body = Bytes::from(vec![7; 1 << 20]);
    let item = bytes(&[Frame::Item(body.clone())]);
    for at_once in [1, 32] {
        let (mut splitter, mut steps, mut capacity) = (Splitter::new(2 << 20), 0, 0);
        let (mut come, mut frame) = (0, None);
        for part in item.chunks(1400 * at_once) {
            come += part.len();
            part.chunks(1400).for_each(|chunk| splitter.push(Bytes::copy_from_slice(chunk)));
            assert_eq!(splitter.buffered(), come);
            frame = splitter.next().expect("valid");
            if frame.is_none() && splitter.partial.capacity() != capacity {
                capacity = splitter.partial.capacity();
                steps += 1;
                assert!(capacity <= STEP.max((AHEAD + 1) * come), "{capacity} for {come}");
            }
        }
        assert!(steps <= 2, "{steps}");
        assert_eq!(Frame::read(frame.expect("whole")), Ok(Frame::Item(body.clone())));
        assert!(!splitter.is_partial());
    }
}

#[test]
fn unknown_frames_and_settings_are_skipped() {
    assert_eq!(Frame::read(Bytes::from_static(&[200, 1, 2])), Ok(Frame::Unknown(200)));
    let mut out = BytesMut::from(&[0u8][..]);
    out.put_u16_le(999);
    out.put_u32_le(5);
    out.put_u16_le(1);
    out.put_u32_le(1);
    let Ok(Frame::Settings(settings)) = Frame::read(out.freeze()) else { panic!("settings") };
    assert_eq!(settings.version, 1);
}

/// The frames that `docs/wire.md` shows byte by byte, under the names of its `hex` blocks.
fn specified() -> Vec<(&'static str, Frame)> {
    let plain = || Head {
        encoding: 0,
        repeated: false,
        time_left: Duration::from_millis(5000),
        correlation: None,
        metadata: Metadata::new(),
    };
    let correlation = Id::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let mut tenant = Metadata::new();
    tenant.insert("tenant", "acme").expect("valid");
    let fault = FaultBody {
        name: "PriceError".into(),
        encoding: 0,
        bytes: Bytes::from_static(b"\x81\xaaUnknownSku\xa3mug"),
    };
    let fault = Status::not_found("PriceError")
        .with_correlation(correlation)
        .with_executed(Executed::Yes)
        .with_fault(fault);
    let busy = Status::resource_exhausted("busy")
        .with_correlation(correlation)
        .with_executed(Executed::No)
        .with_retry_after(Duration::from_millis(100));
    let end = |result| End { metadata: Metadata::new(), result };
    let id = 0x0000_0001_0000_0002;
    let body = || Bytes::from_static(b"\x81\xa4name\xa3Ann");
    let (service, method) = ("greeter".to_owned(), "hello".to_owned());
    let ticks = "ticks".to_owned();
    vec![
        ("settings", Frame::Settings(Settings { version: 1, max_message: 4 << 20 })),
        (
            "route",
            Frame::Route(Route {
                id: 3,
                fingerprint: 0x0011_2233_4455_6677,
                service: service.clone(),
                method,
            }),
        ),
        ("call", Frame::Call(Call { id, route: 3, head: plain(), body: body() })),
        (
            "call-with-everything",
            Frame::Call(Call {
                id,
                route: 3,
                head: Head {
                    encoding: 1,
                    repeated: true,
                    time_left: Duration::from_millis(1500),
                    correlation: Some(correlation),
                    metadata: tenant.clone(),
                },
                body: Bytes::from_static(br#"{"name":"Ann"}"#),
            }),
        ),
        ("reply", Frame::Reply { id, end: end(Ok(Bytes::from_static(b"\xabHello, Ann!"))) }),
        (
            "reply-with-metadata",
            Frame::Reply { id, end: End { metadata: tenant, result: Ok(Bytes::new()) } },
        ),
        ("reply-with-fault", Frame::Reply { id, end: end(Err(fault)) }),
        ("reply-with-retry", Frame::Reply { id, end: end(Err(busy)) }),
        ("cancel", Frame::Cancel { id }),
        ("contract", Frame::Contract { route: 3, contract: nothing_to_nothing() }),
        ("goaway", Frame::GoAway(GoAway { calls: 5, streams: 6 })),
        (
            "open",
            Frame::Open(Open {
                kind: 1,
                service,
                method: ticks,
                head: plain(),
                body: Bytes::from_static(b"\x03"),
            }),
        ),
        ("item", Frame::Item(Bytes::from_static(b"\x02"))),
        ("end", Frame::End(end(Ok(Bytes::new())))),
    ]
}

/// The contract of a handler that takes and gives nothing.
fn nothing_to_nothing() -> Bytes {
    let unit = <() as crate::schema::Schema>::TYPE;
    let contract = crate::schema::Contract { request: unit, reply: unit };
    let document = crate::schema::ContractDocument::from(contract);
    crate::codec::encode(crate::codec::Encoding::MessagePack, &document).expect("encodes")
}

/// The blocks of the specification that begin so: the bytes of a line stand before two spaces and its
/// comment.
pub(crate) fn documented(fence: &str) -> Vec<(String, Vec<u8>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/wire.md");
    let text = std::fs::read_to_string(path).expect("docs/wire.md");
    let mut blocks: Vec<(String, Vec<u8>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(fence) {
            blocks.push((name.trim().to_owned(), Vec::new()));
            inside = true;
        } else if line.starts_with("```") {
            inside = false;
        } else if inside {
            let bytes = line.split("  ").next().unwrap_or_default().split_whitespace();
            let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
            blocks.last_mut().expect("a block").1.extend(bytes);
        }
    }
    blocks
}

#[test]
fn the_bytes_of_every_frame_are_those_of_the_specification() {
    let documented = documented("```hex ");
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    let mut names = Vec::new();
    for (name, frame) in specified() {
        let block = documented.iter().find(|(other, _)| other == name);
        let (_, expected) = block.unwrap_or_else(|| panic!("docs/wire.md does not show `{name}`"));
        assert_eq!(hex(&bytes(std::slice::from_ref(&frame))), hex(expected), "{name}");
        let read = Frame::read(Bytes::copy_from_slice(&expected[4..])).expect("valid");
        assert_eq!(read, frame, "{name}");
        names.push(name);
    }
    let shown: Vec<&str> = documented.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(shown, names, "docs/wire.md shows each frame once, in this order");
}

#[test]
fn a_large_body_is_linked_and_a_small_one_copied() {
    let large = Bytes::from(vec![7; OWN_STREAM]);
    let frames = [Frame::Item(Bytes::from_static(b"small")), Frame::Item(large.clone())];
    let (mut out, mut chunks) = (BytesMut::new(), Vec::new());
    frames.iter().for_each(|frame| frame.put_linked(&mut out, &mut chunks));
    assert!(out.is_empty());
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].as_ptr(), large.as_ptr());
    assert_eq!(chunks.concat(), bytes(&frames));
}

#[test]
fn usual_calls_and_replies_have_the_bytes_of_all_others() {
    let heads = [
        head(),
        usual(),
        Head { repeated: true, ..usual() },
        Head { correlation: None, ..usual() },
        Head { metadata: Metadata::new(), ..head() },
    ];
    let written = |write: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::from(&b"before"[..]);
        write(&mut out);
        out.freeze()
    };
    for head in heads {
        for body in ["", "body"].map(Bytes::from) {
            let Head { encoding, repeated, time_left, correlation, ref metadata } = head;
            let short = HeadRef { encoding, repeated, time_left, correlation, metadata };
            let whole =
                Frame::Call(Call { id: 9, route: 3, head: head.clone(), body: body.clone() });
            assert_eq!(
                written(&|out| put_call(out, 9, 3, short, &body)),
                written(&|out| whole.put(out)),
            );
            let end = || End { metadata: metadata.clone(), result: Ok(body.clone()) };
            assert_eq!(
                written(&|out| put_reply(out, 9, &end())),
                written(&|out| Frame::Reply { id: 9, end: end() }.put(out)),
            );
        }
    }
}
