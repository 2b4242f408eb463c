//! `chanmon wal replay`: the messages that live, for other programs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloakroom::journal::Live;
use cloakroom::std_layer::journal::{Directory, Log};
use serde_json::{Value, json};

use super::at_rest::{AtRest, Found};
use super::show::{key_text, log_id};
use super::{End, Health, Result, unwritten};
use crate::cli::{Payload, Replay};
use crate::trouble::Trouble;

/// The same lines each time: whoever takes them knows a message again by log, channel and number.
pub fn run(options: &Replay, out: &mut impl Write) -> Result<Health> {
    let mut at_rest = AtRest::open(&options.log)?;
    let found = at_rest.recover_with_keys()?;
    let (log, _) = at_rest.into_log()?;
    if let Some(folder) = &options.files {
        fs::create_dir_all(folder)
            .map_err(|error| Trouble::new(format!("cannot make {}: {error}", folder.display())))?;
    }
    let unread = match &options.exec {
        None => lines(options, &found, &log, out)?,
        Some(command) => into_command(command, |input| lines(options, &found, &log, input))?,
    };
    let health = if unread > 0 { Health::Damaged } else { Health::of(&found.report) };
    // Lines are messages only, so this goes elsewhere.
    if health != Health::Clean {
        let damaged = found.damage.len();
        eprintln!(
            "chanmon: the log is {}: {damaged} pieces of damage; see `chanmon wal verify`",
            health.word()
        );
    }
    Ok(health)
}

/// Writes a line for each, and returns how many could not be read.
fn lines(
    options: &Replay,
    found: &Found,
    log: &Log<Directory>,
    out: &mut impl Write,
) -> Result<u64> {
    let mut unread = 0;
    let mut buffer = Vec::new();
    let keys: BTreeMap<(u16, u64), u64> =
        found.keys.iter().map(|(chan, key, seq)| ((chan, seq), key)).collect();
    for live in &found.live {
        let id = log_id(found.log_id);
        if live.is_closing() {
            let line = json!({ "type": "closed", "log": id, "chan": live.chan });
            writeln!(out, "{line}").map_err(unwritten)?;
            continue;
        }
        buffer.resize(live.body_len as usize, 0);
        if let Err(error) = log.read(live.chan, live.seq, &mut buffer) {
            eprintln!("chanmon: message {} of channel {}: {error}", live.seq, live.chan);
            unread += 1;
            continue;
        }
        let mut line = json!({
            "type": "message", "log": id, "chan": live.chan, "seq": live.seq, "slot": live.slot,
            "generation": live.generation, "len": live.body_len, "attempts": live.attempts,
        });
        if let Some(&key) = keys.get(&(live.chan, live.seq)) {
            line["key"] = key_text(key).into();
        }
        match (&options.files, options.payload) {
            (Some(folder), _) => line["file"] = to_file(folder, live, &buffer)?,
            (None, Payload::Base64) => line["base64"] = STANDARD.encode(&buffer).into(),
            (None, Payload::Hex) => {
                let hex: String = buffer.iter().map(|byte| format!("{byte:02x}")).collect();
                line["hex"] = hex.into();
            }
            (None, Payload::None) => {}
        }
        writeln!(out, "{line}").map_err(unwritten)?;
    }
    out.flush().map_err(unwritten)?;
    Ok(unread)
}

/// The whole payload, or no file.
fn to_file(folder: &Path, live: &Live, payload: &[u8]) -> Result<Value> {
    let name = format!("{}-{}", live.chan, live.seq);
    let (path, part) = (folder.join(&name), folder.join(format!("{name}.part")));
    fs::write(&part, payload).and_then(|()| fs::rename(&part, &path)).map_err(|error| {
        End::from(Trouble::new(format!("cannot write {}: {error}", path.display())))
    })?;
    Ok(path.to_string_lossy().into())
}

fn into_command(
    command: &str,
    write: impl FnOnce(&mut BufWriter<std::process::ChildStdin>) -> Result<u64>,
) -> Result<u64> {
    let unrun =
        |error: io::Error| End::from(Trouble::new(format!("cannot run {command}: {error}")));
    let mut child = Command::new("sh");
    let mut child = child.arg("-c").arg(command).stdin(Stdio::piped()).spawn().map_err(unrun)?;
    let written = match child.stdin.take() {
        Some(input) => write(&mut BufWriter::new(input)),
        None => Ok(0),
    };
    let status = child.wait().map_err(unrun)?;
    if !status.success() {
        return Err(Trouble::new(format!("{command}: {status}"))
            .advise("The log is as it was: replay it again when that works.")
            .into());
    }
    match written {
        Err(End::Unread) => Err(Trouble::new(format!("{command} did not read everything")).into()),
        written => written,
    }
}
