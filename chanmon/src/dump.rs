//! `chanmon dump`: one report in words.

use std::fmt::{self, Write};

use cloakroom::channel::{Kind, PayloadMode, SpillSnapshot};
use cloakroom::report::{ArenaRecord, ChannelRecord, HomeRecord, Name, Request, TicketRecord};

use crate::cli::Dump;
use crate::export::{one, print};
use crate::page_map::{Cell, page_map};
use crate::picture::Picture;
use crate::queueing;
use crate::trouble::{Result, Trouble};
use crate::words::{count, diagnose, diagnose_arena, share, ticket_word};

/// Cells of a page map, as it is printed.
const MAP: usize = 64;

/// Prints a report, or what may have been lost.
pub fn run(options: &Dump) -> Result {
    let picture = one(&options.source, &Request::Dump)?;
    let mut text = String::new();
    let written = match options.orphans {
        Some(age) => orphans(&mut text, &picture, age),
        None => everything(&mut text, &picture),
    };
    written.map_err(Trouble::new)?;
    print(text.as_bytes()).map(drop)
}

/// All of a report, in words.
pub fn everything(out: &mut String, picture: &Picture) -> fmt::Result {
    let begin = picture.begin;
    write!(out, "{}: report {}", begin.source, begin.sequence)?;
    if let Some(uptime) = picture.uptime() {
        write!(out, ", after {}", duration(uptime.as_secs()))?;
    }
    writeln!(out)?;
    for channel in picture.channels() {
        write_channel(out, channel, picture)?;
    }
    for arena in picture.arenas() {
        write_arena(out, arena, picture)?;
    }
    for kernel in picture.kernels() {
        let now = kernel.snapshot;
        writeln!(out, "\nkernel {}", kernel.name)?;
        let tasks = count(now.tasks.into(), ["task", "tasks"]);
        writeln!(out, "    {tasks}, {} ready, {} sleeping", now.ready, now.timers)?;
        writeln!(out, "    {} polls, {} wake-ups", now.polls, now.wakes)?;
    }
    Ok(())
}

/// A channel's figures.
pub fn write_channel(out: &mut String, channel: &ChannelRecord, picture: &Picture) -> fmt::Result {
    let now = &channel.snapshot;
    writeln!(out, "\nchannel {}", channel.name)?;
    writeln!(out, "    {}", diagnose(now, None, None, picture))?;
    for line in channel_lines(channel, picture) {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

/// A channel's figures, a line for each group of them. It is one of this picture.
pub fn channel_lines(channel: &ChannelRecord, picture: &Picture) -> Vec<String> {
    let now = &channel.snapshot;
    let capacity = now.capacity.map_or("what memory allows".into(), |most| most.to_string());
    let what = match now.mode {
        PayloadMode::Messages => "messages",
        _ => "values",
    };
    let mut lines = vec![
        format!(
            "{} of {what}; depth {} of {capacity}, at most {}",
            kind_word(now.kind),
            now.depth,
            now.high_water
        ),
        format!("sent {}, received {}, dropped by policy {}", now.sent, now.received, now.dropped),
    ];
    if now.kind == Kind::Broadcast {
        lines.push(format!(
            "delivered to subscribers {}, missed by them {}",
            now.delivered, now.lagged
        ));
    }
    if now.mode == PayloadMode::Messages {
        let zero = now.zero_copy_sent();
        lines.push(format!("bytes sent {}, received {}", now.bytes_sent, now.bytes_received));
        lines.push(format!("sent without a copy {zero}, with one {}", now.copied));
    }
    lines.push(format!(
        "waiting: senders {}, receivers {}; have waited: senders {}, receivers {}",
        now.parked_senders, now.parked_receivers, now.send_waits, now.recv_waits
    ));
    lines.push(format!(
        "failed sends: full {}, closed {}, late {}, cancelled {}",
        now.full, now.refused, now.send_timeouts, now.send_cancelled
    ));
    lines.push(format!(
        "failed receives: empty {}, closed {}, late {}, cancelled {}; abandoned {}",
        now.empty, now.ended, now.recv_timeouts, now.recv_cancelled, now.abandoned
    ));
    if let Some(times) = now.times {
        let oldest = times.oldest_age.map_or("none".into(), |age| format!("{age} ticks"));
        lines.push(format!(
            "oldest {oldest}; first used at {}, last at {}",
            times.first, times.last
        ));
    }
    if now.mode == PayloadMode::Messages {
        lines.extend(in_hand(picture));
    }
    lines.extend(picture.queueing_in(channel).into_iter().flat_map(queueing::lines));
    lines.extend(picture.spilled_of(channel).into_iter().flat_map(spilled_lines));
    if !now.reconciles() {
        lines.push(
            "sent is not received + depth + dropped: figures of two moments, or a bug".into(),
        );
    }
    lines
}

/// What is out of a channel that spills, and what became of what was.
fn spilled_lines(now: &SpillSnapshot) -> Vec<String> {
    let messages = count(now.messages.into(), ["message", "messages"]);
    let state = if now.above { "what is sent goes out" } else { "what is sent stays in the arena" };
    let mut lines = vec![
        format!(
            "spilled: {messages} of {} B; {state}; the target has {} of {} B in use",
            now.bytes, now.used, now.capacity
        ),
        format!(
            "went out {}, {} of them after a wait; came back {}, {} of them ahead; lent {}, damaged or unreadable {}, dropped {}",
            now.out, now.moved, now.back, now.fetched, now.lent, now.lost, now.dropped
        ),
        format!("the target refused: full {}, failed {}", now.full, now.failed),
    ];
    if !now.reconciles() {
        lines.push(
            "what went out is not what came back, was lent, lost or dropped, and is out: a bug"
                .into(),
        );
    }
    lines
}

/// What is in flight, as far as arenas know: in hand, and so received and not given up yet, or not sent yet.
fn in_hand(picture: &Picture) -> Option<String> {
    let homes: Vec<String> = picture.homes().filter_map(home_in_hand).collect();
    (!homes.is_empty()).then(|| format!("in hand, by home: {}", homes.join(", ")))
}

fn home_in_hand(home: &HomeRecord) -> Option<String> {
    let census = home.census?;
    let payloads = count(census.runs_in_hand as u64, ["payload", "payloads"]);
    let pages = count(census.pages_in_hand as u64, ["page", "pages"]);
    Some(format!("{} {}: {payloads} of {pages}", home.arena, home.snapshot.id))
}

/// Failures of all causes.
pub fn failures(channel: &ChannelRecord) -> u64 {
    let now = &channel.snapshot;
    let causes = [
        now.full,
        now.empty,
        now.refused,
        now.ended,
        now.timeouts(),
        now.cancelled(),
        now.abandoned,
    ];
    causes.into_iter().map(u64::from).sum()
}

fn write_arena(out: &mut String, arena: &ArenaRecord, picture: &Picture) -> fmt::Result {
    let now = &arena.snapshot;
    writeln!(out, "\narena {}", arena.name)?;
    writeln!(out, "    {}", diagnose_arena(arena, picture))?;
    writeln!(out, "    {}", arena_line(arena))?;
    writeln!(
        out,
        "    allocations refused {}, have waited {}, given up {}; damaged payloads {}",
        now.failed, now.waited, now.stopped, now.damaged
    )?;
    writeln!(
        out,
        "    compaction: {} passes, {} payloads and {} pages moved",
        now.passes, now.moves, now.pages_moved
    )?;
    for home in picture.homes().filter(|home| home.arena == arena.name) {
        let (id, used) = (home.snapshot.id, count(home.snapshot.used as u64, ["page", "pages"]));
        write!(out, "    home {id}: {used}")?;
        if let Some(share) = share(home, now.pages) {
            write!(out, ", {share} % of its {}", home.snapshot.cap)?;
        }
        if let Some(census) = home.census {
            write!(out, "; {} in hand, {} at rest", census.pages_in_hand, census.pages_at_rest)?;
        }
        writeln!(out)?;
    }
    if let Some(orphans) = arena.orphans.filter(|orphans| orphans.payloads > 0) {
        let payloads = count(orphans.payloads.into(), ["payload", "payloads"]);
        let pages = count(orphans.pages, ["page", "pages"]);
        write!(out, "    orphans: {payloads} of {} B in {pages}", orphans.bytes)?;
        match orphans.oldest_age {
            Some(age) => writeln!(out, ", the oldest {age} ticks old")?,
            None => writeln!(out)?,
        }
    }
    let tickets: Vec<&TicketRecord> = tickets(picture, arena.name).collect();
    let dump = tickets.iter().map(|ticket| &ticket.dump);
    let map = page_map(now, arena.census.as_ref(), dump, MAP);
    let cells: String = map.cells.into_iter().map(Cell::glyph).collect();
    writeln!(out, "    {cells} {}", if map.exact { "by place" } else { "by share" })?;
    if !tickets.is_empty() {
        writeln!(out, "    {PAYLOAD_HEAD}")?;
    }
    tickets.iter().try_for_each(|ticket| writeln!(out, "    {}", payload_line(ticket)))
}

/// An arena's totals.
pub fn arena_line(arena: &ArenaRecord) -> String {
    let now = &arena.snapshot;
    let held = match &arena.census {
        Some(census) => {
            format!("{} in hand, {} at rest", census.pages_in_hand, census.pages_at_rest)
        }
        None => format!("{} in use", now.used()),
    };
    let (free, pages, size) = (now.free, now.pages, now.page_size);
    let (run, most, scattered) = (now.free_run, now.high_water, now.fragmentation() / 10);
    format!(
        "{held}, {free} free of {pages} pages of {size} B; {scattered} % scattered, run {run}, peak {most}"
    )
}

/// The payloads of an arena.
pub fn tickets(picture: &Picture, arena: Name) -> impl Iterator<Item = &TicketRecord> {
    picture.tickets().filter(move |ticket| ticket.arena == arena)
}

/// What stands above lines of payloads. What matters most fits in the narrowest terminal that is common.
pub const PAYLOAD_HEAD: &str = "ticket            state      waits in                  age         id   bytes  pages leases tickets      at home";

/// A payload, in a line.
pub fn payload_line(ticket: &TicketRecord) -> String {
    let dump = &ticket.dump;
    let age = dump.age.map_or("?".into(), |age| age.to_string());
    let id = dump.correlation.map_or("-".into(), |id| id.to_string());
    let place = match &ticket.place {
        Some(place) if place.parked => format!("sender {} of {}", place.position, place.channel),
        Some(place) => format!("{} at {}", place.channel, place.position),
        None if dump.part => "(part of another)".into(),
        None => "-".into(),
    };
    format!(
        "{:016x}  {:10} {place:22} {age:>6} {id:>10} {:7} {:6} {:6} {:7} {:7} {:4}",
        dump.ticket.to_bits(),
        ticket_word(ticket.state),
        dump.len,
        dump.pages,
        dump.in_hand,
        dump.at_rest,
        dump.first_page,
        dump.home
    )
}

fn orphans(out: &mut String, picture: &Picture, age: u32) -> fmt::Result {
    let orphans: Vec<TicketRecord> =
        picture.orphans(age).map(|ticket| ticket.orphaned_at(age)).collect();
    if orphans.is_empty() {
        let old = picture.tickets().filter(|ticket| ticket.dump.age.is_some()).count();
        let blind = old == 0 && picture.tickets().next().is_some();
        return writeln!(
            out,
            "{}",
            if blind {
                "ages are not known: the process is built without the `stamps` feature"
            } else {
                "nothing has been at rest for so long outside of channels"
            }
        );
    }
    writeln!(
        out,
        "At rest, in no channel that is registered, and allocated {age} ticks ago or before:"
    )?;
    writeln!(out, "arena             {PAYLOAD_HEAD}")?;
    let mut bytes = 0_u64;
    for orphan in &orphans {
        bytes = bytes.saturating_add(orphan.dump.len as u64);
        writeln!(out, "{:16}  {}", orphan.arena, payload_line(orphan))?;
    }
    let payloads = count(orphans.len() as u64, ["payload", "payloads"]);
    writeln!(
        out,
        "{payloads} of {bytes} B; `chanmon actions reap` frees them, if the process allows it"
    )
}

/// A kind, as it is called.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Rendezvous => "rendezvous",
        Kind::Buffered => "buffered",
        Kind::Unlimited => "unlimited",
        Kind::Conflated => "conflated",
        Kind::Priority => "priority",
        Kind::Broadcast => "broadcast",
        _ => "of a kind that is newer than this program",
    }
}

/// So many seconds, as people say it.
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use cloakroom::arena::PayloadState;
    use cloakroom::report::{Place, Record, TicketState};

    use super::*;
    use crate::samples;

    #[test]
    fn a_dump_says_everything_in_words() {
        let mut text = String::new();
        everything(&mut text, &samples::everything(2)).expect("room");
        for line in [
            "sample: report 2, after 2 s",
            "channel frames",
            "    throttled: full, 14 senders wait",
            "    buffered of values; depth 16 of 16, at most 16",
            "    failed sends: full 7, closed 0, late 0, cancelled 0",
            "    queued, at most: p50 3, p99 1023, max 1023 ticks; 4 messages delivered",
            "    ··█·······▃·············",
            "    0          1k        1M ticks",
            "    unlimited of values; depth 0 of what memory allows, at most 0",
            "    spilled: 5 messages of 5000 B; what is sent goes out; the target has 8192 of 65536 B in use",
            "    went out 12, 3 of them after a wait; came back 4, 1 of them ahead; lent 1, damaged or unreadable 2, dropped 0",
            "    the target refused: full 7, failed 1",
            "    active: 40 pages free",
            "    8 in hand, 16 at rest, 40 free of 64 pages of 64 B; 25 % scattered, run 30, peak 60",
            "    ████████········▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓································ by place",
            "    200 polls, 0 wake-ups",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
        }
        assert!(!text.contains("a bug"), "{text}");
    }

    #[test]
    fn failures_are_those_of_all_causes() {
        let mut channel = samples::channel("a");
        let now = &mut channel.snapshot;
        (now.full, now.empty, now.refused, now.ended) = (1, 2, 4, 8);
        (now.send_timeouts, now.recv_timeouts) = (16, 32);
        (now.send_cancelled, now.recv_cancelled, now.abandoned) = (64, 128, u32::MAX);
        assert_eq!(failures(&channel), 255 + u64::from(u32::MAX));
    }

    #[test]
    fn durations_are_said_as_people_do() {
        for (seconds, said) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), said);
        }
    }

    #[test]
    fn a_payload_says_where_it_waits() {
        let mut payload = samples::ticket(0, 1, PayloadState::AtRest);
        payload.dump.correlation = std::num::NonZeroU32::new(4711);
        let line = |payload: &TicketRecord| payload_line(payload);
        assert!(line(&payload).contains("  dehydrated - "), "{}", line(&payload));
        assert!(line(&payload).contains("      ?       4711 "), "{}", line(&payload));
        let place = |parked| Place { channel: Name::new("orders"), parked, position: 3 };
        (payload.state, payload.place) = (TicketState::Ready, Some(place(false)));
        assert!(line(&payload).contains("  ready      orders at 3  "), "{}", line(&payload));
        (payload.state, payload.place) = (TicketState::Suspended, Some(place(true)));
        assert!(line(&payload).contains("  suspended  sender 3 of orders  "), "{}", line(&payload));
        assert_eq!(line(&payload).len(), PAYLOAD_HEAD.len(), "columns stand under their names");
    }

    #[test]
    fn orphans_are_what_has_been_at_rest_for_long() {
        let said = |age, limit| {
            let mut payloads = [
                samples::ticket(0, 1, PayloadState::InHand),
                samples::ticket(1, 1, PayloadState::AtRest),
            ];
            payloads.iter_mut().for_each(|payload| payload.dump.age = age);
            let records = payloads.map(Record::Ticket).to_vec();
            let mut text = String::new();
            orphans(&mut text, &samples::picture(1, records), limit).expect("room");
            text
        };
        let found = said(Some(70), 70);
        assert_eq!(found.lines().count(), 4, "one that is in hand is none: {found}");
        let orphan = found.lines().nth(2).unwrap_or_default();
        for part in ["heap ", "  orphan     - ", " 70          -       1 "] {
            assert!(orphan.contains(part), "no {part:?} in {found}");
        }
        assert!(found.contains("\n1 payload of 1 B; "), "{found}");
        assert!(said(Some(70), 71).contains("nothing has been at rest for so long"));
        assert!(said(None, 0).contains("built without the `stamps` feature"));
    }
}
