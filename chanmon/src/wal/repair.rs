//! `chanmon wal repair`: a new log with what can be salvaged of an old one, which stays as it is.

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
    let found = at_rest.recover()?;
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
    for live in &found.live {
        if live.is_closing() {
            new.close_channel(live.chan, Level::Buffered).map_err(|error| unwritten(&error))?;
            continue;
        }
        buffer.resize(live.body_len as usize, 0);
        if old.read(live.chan, live.seq, &mut buffer).is_err() {
            unread.push((live.chan, live.seq));
            continue;
        }
        let Live { chan, seq, slot, generation, .. } = *live;
        let message = Message { chan, seq, slot, generation, payload: &buffer };
        new.send(&message, Level::Buffered).map_err(|error| unwritten(&error))?;
        let counted = new.attempt(chan, seq, live.attempts.into());
        counted.map_err(|error| unwritten(&error))?;
    }
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
