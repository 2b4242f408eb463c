//! Logs at rest, in order and damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloakroom::journal::{HeaderError, Kept, SegmentHeader};
use cloakroom::std_layer::journal::{CLOSED, Journal, Level, Live, Message, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::commands::{assert_said, run, said};

const SEGMENT: u32 = 16 << 10;

fn options() -> Options {
    Options {
        segment_bytes: SEGMENT,
        slots: 16,
        max_payload: 700,
        max_messages: 300,
        stage_bytes: 8 << 10,
        geometry: 5,
        ..Options::default()
    }
}

fn payload(chan: u16, seq: u64) -> Vec<u8> {
    (0..(seq * 37) % 700).map(|at| (at * 7 + seq + u64::from(chan)) as u8).collect()
}

/// A folder with a log in it, at `log`.
struct Place(TempDir);

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    /// Every file of the log.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.path("log")).expect("a folder");
        let files = entries.map(|entry| entry.expect("an entry").path());
        files.map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
    }

    /// Changes the slot that holds a segment.
    fn damage(&self, segment: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let (path, mut bytes) = self
            .files()
            .into_iter()
            .find(|(_, bytes)| {
                let header = bytes.first_chunk::<64>().map(SegmentHeader::decode);
                header.and_then(Result::ok).is_some_and(|header| header.segment == segment)
            })
            .expect("the segment");
        change(&mut bytes);
        fs::write(path, bytes).expect("space");
    }

    /// Runs a command on the log.
    #[track_caller]
    fn assert_said(&self, arguments: &[&str], status: i32, wanted: &[&str]) -> String {
        let log = self.text("log");
        let arguments = [&["wal", arguments[0], &log], &arguments[1..]].concat();
        assert_said(&arguments, status, wanted)
    }

    /// The lines of JSON on its standard output.
    #[track_caller]
    fn json(&self, arguments: &[&str], status: i32) -> Vec<Value> {
        json(&self.text("log"), arguments, status)
    }
}

#[track_caller]
fn json(log: &str, arguments: &[&str], status: i32) -> Vec<Value> {
    let output = run(&[&["wal", arguments[0], log], &arguments[1..]].concat());
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A log of several segments, and what lives in it. It is as a kill leaves it unless it was closed.
fn log(close: bool) -> (Place, Vec<Live>) {
    let place = Place(tempfile::tempdir().expect("a folder"));
    let (log, _) = Journal::open(&place.path("open"), options()).expect("it opens");
    for seq in 1..=90 {
        for chan in [2, 4] {
            let payload = payload(chan, seq);
            let message = Message { chan, seq, slot: 3, generation: 8, payload: &payload };
            log.send(&message, Level::Buffered).expect("room");
        }
        if seq % 3 == 0 {
            log.ack(2, seq, seq).expect("room");
            log.sync().expect("it has not failed");
        }
    }
    // The highest number does not live.
    log.send(&Message::new(4, 500, b"taken"), Level::Sync).expect("room");
    log.ack(4, 500, 500).expect("room");
    log.close_channel(4, Level::Sync).expect("room");
    let pending = log.pending();
    assert!(pending.iter().any(|live| live.at.segment >= 3), "several segments");
    if close {
        log.close().expect("it has not failed");
    }
    // A copy that nobody has open.
    fs::create_dir(place.path("log")).expect("space");
    for entry in fs::read_dir(place.path("open")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, place.path("log").join(name)).expect("space");
    }
    (place, pending)
}

fn messages(pending: &[Live]) -> Vec<(u16, u64)> {
    let messages = pending.iter().filter(|live| live.seq != CLOSED);
    messages.map(|live| (live.chan, live.seq)).collect()
}

/// Which messages lines of a replay are, if each has its own payload.
fn replayed(lines: &[Value]) -> Vec<(u16, u64)> {
    let lines = lines.iter().filter(|line| line["type"] == "message");
    let key = |line: &Value| {
        let chan = line["chan"].as_u64().expect("a channel") as u16;
        let seq = line["seq"].as_u64().expect("a number");
        let bytes = STANDARD.decode(line["base64"].as_str().expect("a payload"));
        assert_eq!(bytes.expect("base64"), payload(chan, seq));
        (chan, seq)
    };
    lines.map(key).collect()
}

/// What a log that was opened holds.
fn reopened(path: &Path) -> (Vec<(u16, u64)>, u64, u32) {
    let (log, report) = Journal::open(path, options()).expect("it opens, strictly");
    let mut buffer = [0; 700];
    for (chan, seq) in messages(&log.pending()) {
        let len = log.read(chan, seq, &mut buffer).expect("a message");
        assert_eq!(buffer[..len], payload(chan, seq));
    }
    assert_eq!((report.damaged, report.closed), (0, 1), "{report:?}");
    (messages(&log.pending()), report.max_seq, report.max_generation)
}

#[test]
fn a_log_that_is_in_order() {
    let (place, pending) = log(true);
    let before = place.files();
    place.assert_said(
        &["verify"],
        0,
        &["clean: 150 messages pending in ", ", 1 channel closed, closed in order\n"],
    );
    let verify = place.json(&["verify", "--json"], 0);
    assert_eq!(verify.len(), 1);
    assert_eq!((&verify[0]["state"], &verify[0]["pending"]), (&"clean".into(), &150.into()));
    assert_eq!(verify[0]["max_seq"], 500);

    let table = place.assert_said(&["ls"], 0, &["SLOT  SEGMENT"]);
    let segments = place.json(&["ls", "--json"], 0);
    let kept: Vec<&Value> = segments.iter().filter(|line| line["type"] == "segment").collect();
    assert_eq!(table.lines().count(), segments.len() + 1);
    let live: u64 = kept.iter().map(|line| line["live"].as_u64().expect("a number")).sum();
    assert_eq!(live, pending.len() as u64);
    assert!(kept.len() >= 3 && kept[0]["segment"] == 1 && kept[0]["geometry"] == 5);

    let records = place.json(&["dump", "--json"], 0);
    let of = |kind: &str| records.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of("send"), of("close")), (181, 1));
    let total: u64 = kept.iter().map(|line| line["records"].as_u64().expect("a number")).sum();
    assert_eq!(records.len() as u64, total);
    let ranges = records.iter().filter(|line| line["kind"] == "ack");
    let ranges: Vec<&Value> =
        ranges.flat_map(|line| line["says"]["ranges"].as_array().expect("ranges")).collect();
    assert!(ranges.len() == 31 && ranges.contains(&&serde_json::json!([90, 90])), "{ranges:?}");
    assert!(records.iter().all(|line| line["ok"] == true));
    for live in &pending {
        let found = records
            .iter()
            .find(|line| line["segment"] == live.at.segment && line["offset"] == live.at.offset);
        let found = found.expect("its record");
        assert_eq!(found["chan"], live.chan);
        assert_eq!((&found["seq"], &found["len"]), (&live.seq.into(), &live.body_len.into()));
    }
    let words = place.assert_said(&["dump"], 0, &["chan 4 seq 500 slot 0 generation 0 len 5 ok"]);
    assert_eq!(words.lines().count(), records.len());

    let replay = place.json(&["replay"], 0);
    assert_eq!(replayed(&replay), messages(&pending));
    assert_eq!(
        replay.last().map(|line| (&line["type"], &line["chan"])),
        Some((&"closed".into(), &4.into()))
    );
    assert_eq!(place.json(&["replay"], 0), replay, "the same again");
    assert!(before == place.files(), "nothing was changed");
}

#[test]
fn keys_and_attempts() {
    let place = Place(tempfile::tempdir().expect("a folder"));
    let keyed = || Options { keys: 4, keyed_queues: 2, ..options() };
    let (log, _) = Journal::open(&place.path("log"), keyed()).expect("it opens");
    for seq in 1..=2 {
        let sent = log.send_once(&Message::new(3, seq, b"order"), 0xabc + seq, Level::Sync);
        sent.expect("there is room");
    }
    log.attempt(3, 2, 7).expect("there is room");
    // Done with, and its key is remembered all the same; another queue's, and a message without one.
    log.ack(3, 1, 1).expect("there is room");
    log.send_once(&Message::new(5, 7, b"other"), 0xabd, Level::Sync).expect("there is room");
    log.send(&Message::new(3, 3, b"plain"), Level::Sync).expect("there is room");
    drop(log);
    // The next segment begins with the keys.
    drop(Journal::open(&place.path("log"), keyed()).expect("it opens"));
    place.assert_said(
        &["dump"],
        0,
        &[
            "send keyed",
            "chan 3 seq 1 slot 0 generation 0 len 5 key 0000000000000abd ok",
            "chan 3 seq 2 slot 0 generation 0 len 0 attempts 7 ok",
            r#"{"keys":[{"key":"0000000000000abd","seq":1},{"key":"0000000000000abe","seq":2}]}"#,
            r#"{"keys":[{"key":"0000000000000abd","seq":7}]}"#,
        ],
    );
    let told = |lines: &[Value]| -> Vec<Value> {
        let told = |line: &Value| serde_json::json!([line["seq"], line["attempts"], line["key"]]);
        lines.iter().map(told).collect()
    };
    let replay = [
        serde_json::json!([2, 7, "0000000000000abe"]),
        serde_json::json!([3, 0, null]),
        serde_json::json!([7, 0, "0000000000000abd"]),
    ];
    assert_eq!(told(&place.json(&["replay"], 0)), replay);

    let to = place.text("repaired");
    place.assert_said(&["repair", "--to", &to], 0, &[]);
    assert_eq!(told(&json(&to, &["replay"], 0)), replay, "it is the same log");
    let (log, _) = Journal::open(Path::new(&to), keyed()).expect("it opens");
    let again = |chan, seq, key| {
        log.send_once(&Message::new(chan, seq, b"order"), key, Level::Sync).expect("there is room")
    };
    assert_eq!(again(3, 11, 0xabd), Kept::Duplicate(1));
    assert_eq!(again(3, 12, 0xabe), Kept::Duplicate(2));
    assert_eq!(again(5, 13, 0xabd), Kept::Duplicate(7));
    // The oldest is forgotten first, as ever: four are remembered.
    (1..=3).for_each(|key| assert_eq!(again(3, 20 + key, key), Kept::New));
    assert_eq!(again(3, 14, 0xabe), Kept::Duplicate(2));
    assert_eq!(again(3, 15, 0xabd), Kept::New);
    drop(log);

    // Whoever was killed in the middle of a repair has left no log, and it is said what to do.
    fs::create_dir(place.path("later.part")).expect("space");
    let later = place.text("later");
    place.assert_said(
        &["repair", "--to", &later],
        3,
        &["later.part is there already", "remove it"],
    );
    assert!(!place.path("later").exists());
    fs::remove_dir(place.path("later.part")).expect("it is there");
    place.assert_said(&["repair", "--to", &later], 0, &["clean: 3 messages"]);
}

#[test]
fn payloads_in_hex_in_files_and_for_a_command() {
    let (place, pending) = log(true);
    let hex = place.json(&["replay", "--payload", "hex"], 0);
    let wanted: String = payload(2, 1).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex[0]["hex"], wanted);
    assert!(place.json(&["replay", "--payload", "none"], 0)[0].get("base64").is_none());

    let folder = place.text("payloads");
    for _ in 0..2 {
        let lines = place.json(&["replay", "--files", &folder], 0);
        for (line, (chan, seq)) in lines.iter().zip(messages(&pending)) {
            let file = line["file"].as_str().expect("a path");
            assert_eq!(fs::read(file).expect("a file"), payload(chan, seq));
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 150);
    }

    let taken = place.text("taken");
    assert_eq!(
        place.json(&["replay", "--exec", &format!("cat > {taken}")], 0),
        Vec::<Value>::new()
    );
    let taken = fs::read_to_string(taken).expect("a file");
    let taken: Vec<Value> =
        taken.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(taken, place.json(&["replay"], 0));
    place.assert_said(&["replay", "--exec", "cat > /dev/null; exit 9"], 3, &["exit status: 9"]);
}

#[test]
fn a_log_that_cannot_be_read_or_is_in_use() {
    let (place, _) = log(true);
    let missing = place.text("missing");
    fs::create_dir(place.path("empty")).expect("space");
    for command in ["ls", "verify", "dump", "replay"] {
        let (status, text) = said(&["wal", command, &missing]);
        assert_eq!(status, Some(3), "{text}");
        assert_said(&["wal", command, &place.text("empty")], 3, &["holds no log"]);
    }
    assert!(!place.path("missing").exists());
    assert_said(&["wal", "verify"], 3, &["<LOG>"]);
    assert_said(&["wal", "--help"], 0, &["1 if its end is torn"]);

    let (open, _) = Journal::open(&place.path("log"), options()).expect("it opens");
    let who = format!("process {} has the log open", std::process::id());
    for command in ["ls", "verify", "dump", "replay"] {
        place.assert_said(&[command], 4, &[&who]);
    }
    place.assert_said(&["repair", "--to", &place.text("new")], 4, &[&who]);
    drop(open);
    place.assert_said(&["verify"], 0, &[]);

    // Of a format to come, and of another log.
    let other = log(true).0;
    place.damage(2, |bytes| {
        let header = other.files().into_values().find(|bytes| bytes.starts_with(b"ckwl"));
        *bytes = header.expect("a segment");
    });
    place.assert_said(&["verify"], 3, &["does not belong"]);
    place.damage(1, |bytes| {
        bytes[4] = 9;
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        let newer = bytes.first_chunk::<64>().map(SegmentHeader::decode);
        assert!(matches!(newer, Some(Err(HeaderError::Newer { .. }))));
    });
    place.assert_said(&["verify"], 3, &["is of format 9", "newer than this chanmon"]);
}

/// Each damage is named, everything else is given out and repaired, and the old log stays as it is.
#[test]
fn what_is_damaged_is_named_and_the_rest_is_repaired() {
    type Change = fn(&mut Vec<u8>, usize);
    let flip: Change = |bytes, at| bytes[at + 40] ^= 4;
    let zero: Change = |bytes, at| bytes[at..at + 900].fill(0);
    let cut: Change = |bytes, at| bytes.truncate(at + 20);
    let headers: Change = |bytes, _| {
        let last = bytes.len() - 64;
        bytes[..64].fill(7);
        bytes[last..].fill(7);
    };
    for (name, change) in [("flip", flip), ("zero", zero), ("cut", cut), ("headers", headers)] {
        let (place, pending) = log(true);
        let hurt = pending.iter().find(|live| live.at.segment == 2 && live.body_len > 100);
        let hurt = *hurt.expect("a message there");
        place.damage(2, |bytes| change(bytes, hurt.at.offset as usize));
        let before = place.files();

        let words = place.assert_said(&["verify"], 2, &["damaged: "]);
        let verify = place.json(&["verify", "--json"], 2);
        assert_eq!(verify[0]["state"], "damaged");
        assert!(verify.len() > 1 && verify[1]["acknowledged"] == true, "{verify:?}");
        assert_eq!(words.lines().count(), verify.len(), "{words}");
        if name == "flip" {
            let lost = serde_json::json!({ "chan": hurt.chan, "seq": hurt.seq });
            assert_eq!(verify[1]["message"], lost);
            let said = format!("message {} of channel {}", hurt.seq, hurt.chan);
            assert!(words.contains(&said), "{words}");
        }
        let records = place.json(&["dump", "--json"], 2);
        // Of a file without headers nothing is a record.
        assert!(
            name == "headers" || name == "cut" || records.iter().any(|line| line["ok"] == false)
        );
        place.json(&["ls", "--json"], 2);

        let left = replayed(&place.json(&["replay"], 2));
        assert!(!left.contains(&(hurt.chan, hurt.seq)), "{name}");
        // An acknowledgement that was lost brings its message back; nothing that lived elsewhere is gone.
        let elsewhere = pending.iter().filter(|live| live.at.segment != 2).copied();
        let elsewhere = messages(&elsewhere.collect::<Vec<Live>>());
        assert!(elsewhere.iter().all(|key| left.contains(key)), "{name}");
        assert!(left.is_sorted() && elsewhere.len() > 50);

        let new = place.text("new");
        let report = place.json(&["repair", "--to", &new, "--json"], 2);
        assert_eq!(report, verify);
        assert!(before == place.files(), "{name}: the old one stays as it is");
        assert_said(&["wal", "verify", &new], 0, &["clean: "]);
        assert_eq!(reopened(&place.path("new")), (left, 500, 8), "{name}");
        place.assert_said(&["repair", "--to", &new], 3, &["is there already"]);
    }
}

#[test]
fn a_segment_that_is_missing() {
    let (place, pending) = log(true);
    let files = place.files();
    let (gone, _) = files
        .iter()
        .find(|(_, bytes)| {
            let header = bytes.first_chunk::<64>().map(SegmentHeader::decode);
            header.and_then(Result::ok).is_some_and(|header| header.segment == 2)
        })
        .expect("the segment");
    fs::remove_file(gone).expect("it is there");
    place.assert_said(&["verify"], 2, &["segment 2, missing"]);
    let left = replayed(&place.json(&["replay"], 2));
    assert!(left.len() > 50 && left.len() < pending.len());
    place.assert_said(&["repair", "--to", &place.text("new")], 2, &["segment 2, missing"]);
    assert_eq!(reopened(&place.path("new")).0, left);
}

#[test]
fn a_torn_end_is_no_damage() {
    let (place, pending) = log(false);
    let last = pending.iter().map(|live| live.at.segment).max().expect("messages");
    place.damage(last, |bytes| {
        let end = bytes.len() - 64;
        let used = bytes[..end].iter().rposition(|&byte| byte != 0).expect("records") + 1;
        let end = used.next_multiple_of(8);
        bytes[end + 8..end + 40].fill(0xa5);
    });
    place.assert_said(
        &["verify"],
        1,
        &["torn: 150 messages pending", "not closed in order", ", torn\n"],
    );
    assert_eq!(place.json(&["verify", "--json"], 1)[0]["torn_bytes"], 40);
    let records = place.json(&["dump", "--json"], 1);
    assert_eq!(records.last().map(|line| &line["kind"]), Some(&"damage".into()));
    assert_eq!(replayed(&place.json(&["replay"], 1)), messages(&pending));
    place.assert_said(&["repair", "--to", &place.text("new")], 1, &["torn: "]);
    assert_eq!(reopened(&place.path("new")), (messages(&pending), 500, 8));
}
