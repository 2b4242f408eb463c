//! `chanmon wal repair`: a new log with what can be salvaged of an old one, which stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use cloakroom::journal::{Live, OpenPolicy, record_len};
use cloakroom::std_layer::journal::{Journal, Level, Message, Options};

use super::at_rest::{AtRest, Found};
use super::show::tell;
use super::{End, Health, Result};
use crate::cli::Repair;
use crate::trouble::Trouble;

/// Copies what lives, and says what is lost.
pub fn run(options: &Repair, out: &mut impl Write) -> Result<Health> {
    let mut at_rest = AtRest::open(&options.log)?;
    let found = at_rest.recover_with_keys()?;
    let (old, shape) = at_rest.into_log()?;
    if options.to.exists() {
        return Err(Trouble::new(format!("{} is there already", options.to.display()))
            .advise("Name a directory that is to be made.")
            .into());
    }
    // It has its name when it is complete: half a log would look like a whole one.
    let to: PathBuf = options.to.components().collect();
    let mut begun = to.into_os_string();
    begun.push(".part");
    let begun = PathBuf::from(begun);
    if begun.exists() {
        return Err(Trouble::new(format!("{} is there already", begun.display()))
            .advise("A repair was not finished: remove it.")
            .into());
    }
    let unwritten = |error: &dyn std::fmt::Display| {
        End::from(Trouble::new(format!("cannot write {}: {error}", begun.display())))
    };
    let (new, _) = Journal::open(&begun, shape_of_the_new(&found, shape))
        .map_err(|error| unwritten(&error))?;
    keep_numbers(&new, &found).map_err(|error| unwritten(&error))?;
    let mut unread = Vec::new();
    let mut buffer = Vec::new();
    let mut copy = |live: &Live, key: Option<u64>| {
        if live.is_closing() {
            return new.close_channel(live.chan, Level::Buffered).map(drop);
        }
        buffer.resize(live.body_len as usize, 0);
        if old.read(live.chan, live.seq, &mut buffer).is_err() {
            // Its key goes with it: it can be sent again.
            unread.push((live.chan, live.seq));
            return Ok(());
        }
        let Live { chan, seq, slot, generation, .. } = *live;
        let message = Message { chan, seq, slot, generation, payload: &buffer };
        match key {
            Some(key) => drop(new.send_once(&message, key, Level::Buffered)?),
            None => drop(new.send(&message, Level::Buffered)?),
        }
        new.attempt(chan, seq, live.attempts.into())
    };
    // First what has a key, in the order in which keys are remembered, then the rest.
    let mut keyed = BTreeSet::new();
    for (chan, key, seq) in found.keys.iter() {
        keyed.insert((chan, seq));
        let lives = found.live.binary_search_by_key(&(chan, seq), |live| (live.chan, live.seq));
        let kept = match lives {
            Ok(at) => copy(&found.live[at], Some(key)),
            Err(_) => new
                .send_once(&Message::new(chan, seq, &[]), key, Level::Buffered)
                .and_then(|_| new.ack(chan, seq, seq)),
        };
        kept.map_err(|error| unwritten(&error))?;
    }
    for live in found.live.iter().filter(|live| !keyed.contains(&(live.chan, live.seq))) {
        copy(live, None).map_err(|error| unwritten(&error))?;
    }
    unread.sort_unstable();
    new.close().map_err(|error| unwritten(&error))?;
    drop(new);
    name(&begun, &options.to).map_err(|error| unwritten(&error))?;
    tell(&found, &unread, options.json, out)?;
    Ok(if unread.is_empty() { Health::of(&found.report) } else { Health::Damaged })
}

/// With room for all of it. Whoever opens it does so with what the old one was opened with.
fn shape_of_the_new(found: &Found, old: Options) -> Options {
    let bytes = |live: &Live| record_len(live.body_len as usize).map_or(0, u64::from);
    let all: u64 = found.live.iter().map(bytes).sum();
    let longest = found.live.iter().map(|live| live.body_len).max().unwrap_or(0);
    let mut new = Options {
        max_payload: longest,
        // And the one that keeps the numbers.
        max_messages: found.live.len() + 1,
        stage_bytes: longest as usize + old.stage_bytes,
        policy: OpenPolicy::Strict,
        slots: 4,
        ..old
    };
    let mut queues = BTreeMap::<u16, usize>::new();
    found.keys.iter().for_each(|(chan, ..)| *queues.entry(chan).or_default() += 1);
    new.keyed_queues = queues.len();
    // As many of them as a segment can begin with: more than a process remembers may be found.
    let mut most = queues.values().max().copied().unwrap_or(0);
    while new.keys < most {
        let more = new.keys + (most - new.keys).div_ceil(2);
        match (Options { keys: more, ..new.clone() }).check() {
            Ok(()) => new.keys = more,
            Err(_) => most = more - 1,
        }
    }
    while new.most_live_bytes() < all + 64 {
        new.slots += 1;
    }
    new
}

/// No number, and no generation, is to come twice, also of messages that do not live: one that has the highest, and is
/// acknowledged.
fn keep_numbers(
    new: &Journal,
    found: &Found,
) -> std::result::Result<(), cloakroom::std_layer::journal::LogError> {
    let seq = found.report.max_seq;
    let lives = |chan: &u16| found.live.iter().any(|live| (live.chan, live.seq) == (*chan, seq));
    let Some(chan) = (0..=u16::MAX).find(|chan| !lives(chan)) else { return Ok(()) };
    let generation = found.report.max_generation;
    let message = Message { chan, seq, slot: 0, generation, payload: &[] };
    new.send(&message, Level::Buffered)?;
    new.ack(chan, seq, seq)
}

/// Gives it its name, durably.
fn name(begun: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(begun, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
