//! What is in a log: its segments, whether it is in order, every record.

use std::io::Write;

use cloakroom::journal::{
    Checkpoint, Damage, DamageKind, Flags, HeaderError, Item, Kind, RecordHeader, Span,
};
use serde_json::{Value, json};

use super::at_rest::{AtRest, Found};
use super::{Health, Result, unwritten};
use crate::cli::WalPlace;
use crate::words::count;

const MESSAGES: [&str; 2] = ["message", "messages"];

/// The segments, and the slots without one.
pub fn ls(place: &WalPlace, out: &mut impl Write) -> Result<Health> {
    let mut log = AtRest::open(&place.log)?;
    let found = log.recover()?;
    if !place.json {
        let heads = ["SLOT", "SEGMENT", "RECORDS", "LIVE", "END", "BYTES", "UNIX TIME"];
        let [slot, segment, records, live, end, bytes, made] = heads;
        writeln!(
            out,
            "{slot:>4} {segment:>8} {records:>8} {live:>8} {end:>10} {bytes:>10} {made:>12}"
        )
        .map_err(unwritten)?;
    }
    for (at, header) in log.segments() {
        let (mut records, mut end) = (0_u64, 0);
        log.scan(at, |item| match item {
            Item::Record { .. } => records += 1,
            Item::End { offset, .. } => end = offset,
            Item::Damage { .. } => {}
        })?;
        let live = found.live.iter().filter(|live| live.at.segment == header.segment).count();
        let number = log.numbers[at as usize];
        let (segment, bytes, made) = (header.segment, header.segment_bytes, header.created);
        let written = if place.json {
            let line = json!({
                "type": "segment", "slot": number, "segment": segment, "records": records, "live": live,
                "end": end, "bytes": bytes, "created": made, "geometry": header.geometry,
                "log": log_id(header.log_id),
            });
            writeln!(out, "{line}")
        } else {
            writeln!(
                out,
                "{number:>4} {segment:>8} {records:>8} {live:>8} {end:>10} {bytes:>10} {made:>12}"
            )
        };
        written.map_err(unwritten)?;
    }
    for (number, header) in log.numbers.iter().zip(&log.headers) {
        let state = match header {
            Ok(_) => continue,
            Err(HeaderError::Blank) => "spare",
            Err(_) => "unreadable",
        };
        let written = match place.json {
            true => writeln!(out, "{}", json!({ "type": state, "slot": number })),
            false => writeln!(out, "{number:>4} {state:>8}"),
        };
        written.map_err(unwritten)?;
    }
    Ok(Health::of(&found.report))
}

/// Whether it is in order.
pub fn verify(place: &WalPlace, out: &mut impl Write) -> Result<Health> {
    let found = AtRest::open(&place.log)?.recover()?;
    tell(&found, &[], place.json, out)?;
    Ok(Health::of(&found.report))
}

/// Says how a log is, and names what is lost: what is damaged, and messages that cannot be read besides.
pub fn tell(found: &Found, unread: &[(u16, u64)], as_json: bool, out: &mut impl Write) -> Result {
    let report = &found.report;
    let health = if unread.is_empty() { Health::of(report) } else { Health::Damaged };
    if as_json {
        let line = json!({
            "type": "log", "log": log_id(found.log_id), "state": health.word(), "segments": report.segments,
            "pending": report.pending, "closed": report.closed, "sends": report.sends, "acks": report.acks,
            "damaged": report.damaged, "torn_bytes": report.torn_bytes, "unread": unread.len(),
            "headers_damaged": report.headers_damaged, "unknown": report.unknown,
            "max_seq": report.max_seq, "max_generation": report.max_generation,
            "closed_in_order": report.clean,
        });
        writeln!(out, "{line}").map_err(unwritten)?;
        for damage in &found.damage {
            writeln!(out, "{}", damage_line(damage)).map_err(unwritten)?;
        }
        for (chan, seq) in unread {
            writeln!(out, "{}", json!({ "type": "unread", "chan": chan, "seq": seq }))
                .map_err(unwritten)?;
        }
        return Ok(());
    }
    let mut text = format!("{}: ", health.word());
    text += &count(report.pending, MESSAGES);
    text += &format!(" pending in {}", count(report.segments.into(), ["segment", "segments"]));
    if report.closed > 0 {
        text += &format!(", {} closed", count(report.closed, ["channel", "channels"]));
    }
    text += if report.clean { ", closed in order\n" } else { ", not closed in order\n" };
    if report.headers_damaged > 0 {
        let headers = count(report.headers_damaged.into(), ["segment", "segments"]);
        text += &format!("one of two headers damaged in {headers}: nothing is lost by that\n");
    }
    if report.unknown > 0 {
        let records = count(report.unknown, ["record", "records"]);
        text += &format!("{records} of kinds that only later versions know\n");
    }
    for damage in &found.damage {
        text += &format!("{damage}\n");
    }
    for (chan, seq) in unread {
        text += &format!("message {seq} of channel {chan} cannot be read\n");
    }
    out.write_all(text.as_bytes()).map_err(unwritten)
}

fn damage_line(damage: &Damage) -> Value {
    let (from, to) = (damage.from.offset, damage.to);
    let mut line = json!({
        "type": "damage", "segment": damage.from.segment, "acknowledged": damage.acknowledged,
        "text": damage.to_string(),
    });
    line["message"] = damage.message.map(|(chan, seq)| json!({ "chan": chan, "seq": seq })).into();
    let (kind, more) = match damage.kind {
        DamageKind::Cut => ("cut", json!({ "from": from, "to": to })),
        DamageKind::Missing => ("missing", json!({ "segments": to })),
        DamageKind::Header => ("header", json!({ "slot": from })),
        _ => ("records", json!({ "from": from, "to": to })),
    };
    line["kind"] = kind.into();
    for (name, value) in more.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    line
}

/// Every record, in the order in which they were written.
pub fn dump(place: &WalPlace, out: &mut impl Write) -> Result<Health> {
    let mut log = AtRest::open(&place.log)?;
    for (at, segment) in log.segments() {
        let number = segment.segment;
        let mut items = Vec::new();
        log.scan(at, |item| items.push(item))?;
        for item in items {
            let line = match item {
                Item::Record { offset, header } => {
                    let mut line = line(number, offset, &header, true);
                    line["says"] = says(&header, log.body(at, offset, &header));
                    line
                }
                Item::Damage { from, header: Some(header), .. } => {
                    line(number, from, &header, false)
                }
                Item::Damage { from, to, header: None } => gap(number, from, to),
                Item::End { offset, garbage } if garbage > offset => gap(number, offset, garbage),
                Item::End { .. } => continue,
            };
            let written = match place.json {
                true => writeln!(out, "{line}"),
                false => writeln!(out, "{}", in_words(&line)),
            };
            written.map_err(unwritten)?;
        }
    }
    // Whether what is damaged was acknowledged, all of the log together tells.
    Ok(Health::of(&log.recover()?.report))
}

fn line(segment: u64, offset: u32, header: &RecordHeader, ok: bool) -> Value {
    let mut line = json!({
        "type": "record", "segment": segment, "offset": offset, "kind": kind(header), "flags": flags(header),
        "chan": header.chan, "seq": header.seq, "slot": header.slot, "generation": header.generation,
        "len": header.body_len, "ok": ok,
    });
    if let Some(key) = header.key() {
        (line["slot"], line["generation"]) = (0.into(), 0.into());
        line["key"] = key_text(key).into();
    }
    if header.attempts() > 0 {
        (line["slot"], line["generation"]) = (0.into(), 0.into());
        line["attempts"] = header.attempts().into();
    }
    line
}

/// What the log's own records say.
fn says(header: &RecordHeader, body: Option<Vec<u8>>) -> Value {
    let Some(body) = body else { return Value::Null };
    let numbers = |bytes: &[u8]| -> Vec<u64> {
        let words = bytes.chunks_exact(8);
        words
            .map(|word| word.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
            .collect()
    };
    let place = |span: Span| json!({ "segment": span.from.segment, "offset": span.from.offset });
    match header.kind() {
        Some(Kind::Keys) => {
            let numbers = numbers(&body);
            let pairs = numbers.chunks_exact(2);
            let keys = pairs.map(|pair| json!({ "key": key_text(pair[0]), "seq": pair[1] }));
            json!({ "keys": keys.collect::<Vec<_>>() })
        }
        Some(Kind::Ack) => json!({ "ranges": numbers(&body).chunks(2).collect::<Vec<_>>() }),
        Some(Kind::Batch) => match body.try_into() {
            Ok(body) => json!({ "durable": place(Span::decode(&body)) }),
            Err(_) => Value::Null,
        },
        Some(Kind::Scar) => match body.try_into() {
            Ok(body) => {
                let span = Span::decode(&body);
                json!({ "passed_over": place(span), "to": span.to })
            }
            Err(_) => Value::Null,
        },
        Some(Kind::Checkpoint) => match body.try_into() {
            Ok(body) => {
                let Checkpoint { first, max_seq, max_generation } = Checkpoint::decode(&body);
                json!({ "first_segment": first, "max_seq": max_seq, "max_generation": max_generation })
            }
            Err(_) => Value::Null,
        },
        _ => Value::Null,
    }
}

/// Bytes that are no record.
fn gap(segment: u64, from: u32, to: u32) -> Value {
    json!({
        "type": "damage", "segment": segment, "offset": from, "kind": "damage", "len": to - from, "ok": false,
    })
}

fn in_words(line: &Value) -> String {
    let text = |name: &str| match &line[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let place = format!("{}:{}", text("segment"), text("offset"));
    let ok = if line["ok"] == json!(true) { "ok" } else { "DAMAGED" };
    let message = match line["chan"] {
        Value::Null => String::new(),
        _ => format!(
            "chan {} seq {} slot {} generation {} ",
            text("chan"),
            text("seq"),
            text("slot"),
            text("generation")
        ),
    };
    let also = |name: &str| match line[name] {
        Value::Null => String::new(),
        _ => format!(" {name} {}", text(name)),
    };
    let (key, attempts) = (also("key"), also("attempts"));
    let says = if line["says"].is_null() { String::new() } else { format!(" {}", line["says"]) };
    let kind = format!("{} {}", text("kind"), text("flags"));
    format!("{place:<14} {kind:<14} {message}len {}{key}{attempts} {ok}{says}", text("len"))
}

fn kind(header: &RecordHeader) -> String {
    let word = match header.kind() {
        Some(Kind::Send) => "send",
        Some(Kind::Ack) => "ack",
        Some(Kind::Close) => "close",
        Some(Kind::Checkpoint) => "checkpoint",
        Some(Kind::Reloc) => "reloc",
        Some(Kind::Batch) => "batch",
        Some(Kind::Scar) => "scar",
        Some(Kind::Keys) => "keys",
        Some(Kind::Attempt) => "attempt",
        _ => return format!("unknown {}", header.kind),
    };
    word.to_owned()
}

fn flags(header: &RecordHeader) -> &'static str {
    match header.kind() {
        Some(Kind::Ack) if header.flags.has(Flags::CANCELLED) => "cancelled",
        Some(Kind::Send) if header.key().is_some() => "keyed",
        Some(Kind::Batch) if header.flags.has(Flags::CLEAN) => "clean",
        _ => "",
    }
}

/// As it is written in JSON, whose numbers are shorter.
pub fn key_text(key: u64) -> String {
    format!("{key:016x}")
}

/// The same of a log's id.
pub fn log_id(id: u128) -> String {
    format!("{id:032x}")
}
