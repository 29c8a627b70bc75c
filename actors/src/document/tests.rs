//! Both versions read as they were written, a newer one is told from a damaged one.

use super::{form::MAGIC, *};
use crate::agent;
use callboard_core::{
    Datum, Timestamp,
    workflow::{StepKey, What},
};

fn event(n: i64) -> Event {
    let step = StepKey::new(1, "a", "3.17");
    let output = Datum::inline(serde_json::json!({"x": 0.1, "big": u64::MAX, "list": [null, "é"]}));
    let what = What::StepCompleted {
        step,
        attempt: 1,
        output,
        branch: None,
        usage: None,
        error: None,
        op: None,
        signal: None,
        body: None,
        fallbacks: Vec::new(),
    };
    Event { at: Timestamp(n), what }
}

#[test]
fn a_document_reads_as_it_was_written_and_its_events_hash_the_same() {
    let mut doc = Document::empty();
    let json = doc.push(event(1));
    doc.push(event(2));
    let read = Document::decode(&doc.encode()).expect("readable");
    assert_eq!(read, doc);
    assert_eq!(encode_event(&read.tail[0].event), json);
    assert_eq!(next_hash(Hash::default(), &json), read.hash_at(1).expect("a hash"));
    let from_json: Event = serde_json::from_str(&json).expect("readable");
    assert_eq!(encode_event(&from_json), json);
}

#[test]
fn dropping_the_tail_keeps_the_chain() {
    let mut doc = Document::empty();
    for n in 0..5 {
        doc.push(event(n));
    }
    let (third, last) = (doc.hash_at(3), doc.hash);
    doc.drop_until(3);
    assert_eq!((doc.tail_from, doc.tail.len()), (4, 2));
    assert_eq!((doc.hash_at(3), doc.hash_at(2), doc.hash_at(5)), (third, None, Some(last)));
    doc.drop_until(9);
    assert_eq!((doc.tail_from, doc.hash_at(5)), (6, Some(last)));
}

#[test]
fn a_newer_document_is_told_from_a_damaged_one() {
    let mut bytes = Document::empty().encode();
    bytes[1] = 2;
    assert_eq!(newer(Document::decode(&bytes)), "2");
    assert!(matches!(Document::decode(b"\xff\xff"), Err(Unreadable::Damaged(_))));
    // Its events are ours, and the hashes are not those of ours: who wrote it has other rules.
    let mut doc = lived(Version::Positional);
    doc.base_hash = Hash::of(b"other");
    let mut bytes = doc.encode();
    bytes[1] = 5;
    assert_eq!(newer(Document::decode(&bytes)), "5");
}

/// Says which version wrote what can't be read, or which event.
#[track_caller]
fn newer<T: std::fmt::Debug>(told: Result<T, Unreadable>) -> String {
    match told {
        Err(Unreadable::Newer(what)) => what,
        Err(Unreadable::Damaged(_)) | Ok(_) => panic!("{told:?} is not newer"),
    }
}

fn lived(v: Version) -> Document {
    let mut doc = Document::empty();
    doc.raise(v);
    (0..6).for_each(|n| drop(doc.push(event(n))));
    doc.snapshot = Some(Snapshot { key: "t.0".into(), size: 900, seq: 2 });
    doc.published = 4;
    doc.drop_until(2);
    doc
}

#[test]
fn what_has_our_magic_and_a_later_version_is_newer_whatever_follows() {
    for v in 3..=255 {
        for rest in [&b""[..], b"\x98\x01", b"{}", &[0; 40], &[0x82, 0xa1, b'v', v]] {
            let bytes = [&MAGIC[..], &[v], rest].concat();
            assert_eq!(newer(Document::decode(&bytes)), v.to_string());
            assert_eq!(newer(versioned::<agent::Document>(&bytes)), v.to_string());
        }
    }
    // An array that says its version, as ours would.
    for bytes in [&b"\x98\x02rest"[..], b"\x99\x05", b"\xdc\x00\x10\x7f", b"\x93\x02"] {
        assert!(matches!(Document::decode(bytes), Err(Unreadable::Newer(_))), "{bytes:?}");
    }
}

#[test]
fn rubbish_is_damaged_and_not_newer() {
    let texts = [
        "",
        "1",
        "{}",
        "[]",
        "null",
        "\"rubbish\"",
        "rubbish",
        "[2,3]",
        "<html>",
        "\u{feff}{}",
        "CCBD\x02",
        "CCBD\x03",
    ];
    let mut rubbish: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    rubbish.extend([
        vec![0; 64],
        vec![0xff; 64],
        vec![0xc1],
        MAGIC.to_vec(),
        [&MAGIC[..], &[0]].concat(),
        [&MAGIC[..], &[1]].concat(),
        [&MAGIC[..3], &[2, 2]].concat(),
        b"\x98".to_vec(),
        b"\x98\x00".to_vec(),
        b"\x98\x01\xdd\xff\xff\xff\xff".to_vec(),
        b"\x98\x01\x01\x01\x01\x01\x01\x01\x01".to_vec(),
        b"\x91\x01".to_vec(),
        b"\xdc\x00".to_vec(),
        [&b"\x98\x01"[..], &[0x91; 100_000]].concat(),
        lived(Version::Positional).encode().repeat(2)[1..].to_vec(),
        format!("{:?}", lived(Version::Positional).encode()).into_bytes(),
        [&MAGIC[..], &[2]].concat(),
        [&MAGIC[..], b"\x02whatever it is"].concat(),
        [&MAGIC[..], &[2], &[0x82, 0xa1, b'v', 2]].concat(),
        [&MAGIC[..], &[2], &lived(Version::Positional).encode()].concat(),
        [&MAGIC[..], &[3], &lived(Version::Named).encode()[5..]].concat(),
        lived(Version::Named).encode()[1..].to_vec(),
        lived(Version::Named).encode()[5..].to_vec(),
    ]);
    // Every two bytes there can be.
    rubbish.extend((0..=u16::MAX).map(|n| n.to_be_bytes().to_vec()));
    for bytes in rubbish {
        let told = Document::decode(&bytes);
        let is_array = matches!(bytes.as_slice(), [0x91..=0x9f, 2..0x80]);
        assert_eq!(matches!(told, Err(Unreadable::Newer(_))), is_array, "{:?}", &bytes[..bytes.len().min(9)]);
        assert!(told.is_err());
    }
}

#[test]
fn a_cut_document_and_one_with_a_flipped_bit_read_or_are_damaged() {
    for v in [Version::Positional, Version::Named] {
        let doc = lived(v);
        let bytes = doc.encode();
        for end in 0..bytes.len() {
            assert!(
                matches!(Document::decode(&bytes[..end]), Err(Unreadable::Damaged(_))),
                "{v:?} cut at {end}"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let told = Document::decode(&flipped);
            assert!(!matches!(told, Err(Unreadable::Newer(_))), "{v:?} bit {bit}");
            // The hashes cover all of version 2 but where the snapshot stands, and what was published.
            if let (Version::Named, Ok(read)) = (v, told) {
                assert_eq!((&read.tail, read.seq, read.hash), (&doc.tail, doc.seq, doc.hash), "bit {bit}");
            }
        }
    }
}

/// A document of version 2 as a later release may write it: fields beside ours, in the document and around it.
#[derive(Serialize)]
struct Future<'a> {
    v: u8,
    mood: &'a str,
    seq: u64,
    hash: Hash,
    snapshot: Option<FutureSnapshot<'a>>,
    published: u64,
    tail_from: u64,
    base_hash: Hash,
    tail: Vec<&'a str>,
    since: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct FutureSnapshot<'a> {
    region: &'a str,
    key: &'a str,
    size: u64,
    seq: u64,
}

const KNOWN: &str = r#"{"at":5,"what":{"run_paused":{"op":"o"}}}"#;
/// Of a kind that is known, with fields that are not, and written in another way.
const MORE: &str = r#"{ "by":{"who":"me"}, "what":{"run_resumed":{"why":"lunch","op":"o"}},"at":6}"#;
/// Of a kind that is not known.
const KIND: &str = r#"{"at":7,"what":{"run_moved":{"op":"o"}}}"#;

fn future<'a>(tail: &[&'a str]) -> Future<'a> {
    let hash = tail.iter().fold(Hash([3; 16]), |hash, text| next_hash(hash, text));
    Future {
        v: 2,
        mood: "good",
        seq: 9 + tail.len() as u64,
        hash,
        snapshot: Some(FutureSnapshot { region: "eu", key: "t.0", size: 900, seq: 9 }),
        published: 8,
        tail_from: 10,
        base_hash: Hash([3; 16]),
        tail: tail.to_vec(),
        since: Some(vec![1]),
    }
}

fn bytes(future: &Future<'_>) -> Vec<u8> {
    encode(future, Version::Named)
}

#[test]
fn fields_that_are_not_known_are_ignored_and_an_events_text_is_kept() {
    let mut doc = Document::decode(&bytes(&future(&[KNOWN, MORE]))).expect("readable");
    assert_eq!(doc.version(), Version::Named);
    assert_eq!((doc.seq, doc.published, doc.tail_from), (11, 8, 10));
    assert_eq!(doc.snapshot, Some(Snapshot { key: "t.0".into(), size: 900, seq: 9 }));
    let resumed = Event { at: Timestamp(6), what: What::RunResumed { op: "o".into(), body: None } };
    assert_eq!(doc.tail[1].event, resumed);
    let texts = |doc: &Document| doc.after(9).map(|(_, kept)| kept.json().into_owned()).collect::<Vec<_>>();
    assert_eq!(texts(&doc), [KNOWN, MORE]);
    // Written again, it is of version 2 still, and its events are the same bytes.
    let json = doc.push(event(8));
    let again = Document::decode(&doc.encode()).expect("readable");
    assert_eq!(again, doc);
    assert_eq!(texts(&again), [KNOWN, MORE, &json]);
    assert_eq!(again.hash_at(11), Some(future(&[KNOWN, MORE]).hash));
}

#[test]
fn an_event_of_an_unknown_kind_is_newer_if_the_hashes_cover_it_and_damaged_if_not() {
    let whole = future(&[KNOWN, MORE, KIND]);
    assert!(newer(Document::decode(&bytes(&whole))).starts_with("event 12: unknown variant `run_moved`"));
    // So is a field of ours that says something of a new kind.
    let field = r#"{"at":7,"what":{"signal_received":{"op":"o","name":"n","data":{"blob":"x"}}}}"#;
    assert!(
        newer(Document::decode(&bytes(&future(&[field])))).starts_with("event 10: unknown variant `blob`")
    );
    for hash in [Hash::default(), whole.base_hash, future(&[KNOWN]).hash] {
        let told = Document::decode(&bytes(&Future { hash, ..future(&[KNOWN, MORE, KIND]) }));
        assert!(matches!(told, Err(Unreadable::Damaged(_))), "{told:?}");
    }
    for tail in [vec![KNOWN, MORE], vec![KNOWN, KIND, MORE], vec![]] {
        let told = Document::decode(&bytes(&Future { tail, ..future(&[KNOWN, MORE, KIND]) }));
        assert!(matches!(told, Err(Unreadable::Damaged(_))), "{told:?}");
    }
    // What the hashes cover is rubbish all the same.
    let told = Document::decode(&bytes(&future(&["rubbish"])));
    assert!(matches!(told, Err(Unreadable::Damaged(_))), "{told:?}");
}

#[test]
fn a_document_of_version_2_that_contradicts_itself_is_damaged() {
    let damaged = [
        Future { v: 1, ..future(&[KNOWN]) },
        Future { v: 3, ..future(&[KNOWN]) },
        Future { seq: 11, ..future(&[KNOWN]) },
        Future { seq: u64::MAX, tail_from: u64::MAX, ..future(&[KNOWN]) },
        Future { tail_from: 9, ..future(&[KNOWN]) },
        Future { snapshot: None, ..future(&[KNOWN]) },
    ];
    for future in damaged {
        let told = Document::decode(&bytes(&future));
        assert!(matches!(told, Err(Unreadable::Damaged(_))), "{told:?}");
    }
    let mut later = bytes(&Future { v: 3, ..future(&[KNOWN]) });
    later[4] = 3;
    assert_eq!(newer(Document::decode(&later)), "3");
    let mut flipped = bytes(&future(&[KNOWN]));
    for v in [0, 1, 3, 6, 130, 255] {
        flipped[4] = v;
        let told = Document::decode(&flipped);
        assert!(matches!(told, Err(Unreadable::Damaged(_))), "{v}: {told:?}");
    }
}

#[test]
fn a_part_says_its_version_and_fields_that_are_not_known_are_ignored() {
    #[derive(Serialize)]
    struct FuturePage<'a> {
        tier: &'a str,
        key: &'a str,
        size: u64,
        level: u8,
        items: u64,
    }
    let page = Page { key: "t.1".into(), size: 300, items: 9, level: 1 };
    let list = vec![page.clone(), Page { level: 0, ..page.clone() }];
    for v in [Version::Positional, Version::Named] {
        assert_eq!(decode::<Vec<Page>>(&encode(&list, v)).expect("readable"), list);
    }
    let future = [FuturePage { tier: "cold", key: "t.1", size: 300, level: 1, items: 9 }];
    assert_eq!(decode::<Vec<Page>>(&encode(&future, Version::Named)).expect("readable"), [page]);
    let named = encode(&list, Version::Named);
    for v in [0, 1, 3, 255] {
        let mut other = named.clone();
        other[4] = v;
        assert!(matches!(decode::<Vec<Page>>(&other), Err(Unreadable::Damaged(_))), "{v}");
    }
    for end in 0..named.len() {
        assert!(matches!(decode::<Vec<Page>>(&named[..end]), Err(Unreadable::Damaged(_))), "cut at {end}");
    }
}

#[test]
fn a_document_is_written_in_the_first_version_that_can_say_it_and_never_goes_back() {
    let mut doc = Document::empty();
    doc.push(event(1));
    assert_eq!(doc.version(), Version::Positional);
    let first = doc.encode();
    doc.raise(Version::Named);
    doc.raise(Version::Positional);
    doc.push(event(2));
    let mut read = Document::decode(&doc.encode()).expect("readable");
    assert_eq!(read.version(), Version::Named);
    assert_eq!(read.encode(), doc.encode());
    read.push(event(3));
    assert_eq!(Document::decode(&read.encode()).expect("readable").version(), Version::Named);
    // The events that were there before have the texts that their hashes cover.
    assert_eq!(Document::decode(&first).expect("readable").tail[0].json(), read.tail[0].json());
}
