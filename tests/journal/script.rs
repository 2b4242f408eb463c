//! A run of a log that is the same each time, and what it has been promised by it.

use std::collections::BTreeMap;

use cloakroom::journal::Kept;
use cloakroom::std_layer::journal::{
    CLOSED, Level, Log, LogError, Message, OpenPolicy, Options, RecoveryReport,
};

use crate::disk::Disk;
use crate::random::Random;

pub const SEGMENT: u32 = 16 << 10;
/// Keys that are remembered of channel 2, all of whose messages have one.
pub const WINDOW: usize = 20;

/// Any message's key follows from its number; they are not in its order.
pub fn key(seq: u64) -> u64 {
    seq.wrapping_mul(0xD134_2543_DE82_EF95)
}

/// Small, so that segments are gone through.
pub fn options() -> Options {
    Options {
        segment_bytes: SEGMENT,
        slots: 5,
        max_payload: 600,
        max_messages: 200,
        stage_bytes: 8 << 10,
        keys: WINDOW,
        ..Options::default()
    }
}

/// What became of a message, as far as its sender knows.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fate {
    /// The log has taken it, at some level.
    pub taken: bool,
    /// The log has said that it is durable.
    pub durable: bool,
    /// It was acknowledged, or that was tried.
    pub acked: bool,
    /// That is durable.
    pub ack_durable: bool,
    /// Attempts that the log has taken note of, and those that are durable.
    pub attempts: u8,
    pub attempts_durable: u8,
}

/// By channel and number.
pub type Ledger = BTreeMap<(u16, u64), Fate>;

/// Any message's payload follows from its number.
pub fn payload(chan: u16, seq: u64) -> Vec<u8> {
    let mut random = Random(seq << 16 | u64::from(chan));
    let len = random.below(600);
    (0..len).map(|_| random.next() as u8).collect()
}

/// What a script is like.
#[derive(Clone, Copy)]
pub struct Manner {
    /// At what levels it sends.
    pub levels: [Level; 4],
    /// How many channels it sends in: messages of the third have keys.
    pub channels: u64,
    /// Whether it syncs now and then.
    pub syncs: bool,
}

impl Manner {
    pub const USUAL: Self = Self {
        levels: [Level::Buffered, Level::Interval, Level::Sync, Level::Sync],
        channels: 3,
        syncs: true,
    };
}

/// Sends, acknowledges, syncs and maintains, until that is done or the log fails. Returns what it was promised.
pub fn run(log: &Log<Disk>, ledger: &mut Ledger, first: u64, steps: u32, seed: u64) -> bool {
    run_in(Manner::USUAL, log, ledger, first, steps, seed)
}

/// The same, in another manner.
pub fn run_in(
    manner: Manner,
    log: &Log<Disk>,
    ledger: &mut Ledger,
    first: u64,
    steps: u32,
    seed: u64,
) -> bool {
    let mut random = Random(seed);
    let mut next = [first; 3];
    for _ in 0..steps {
        let outcome = match random.below(20) {
            0 => log.maintain(),
            1 | 2 if manner.syncs => sync(log, ledger),
            1 | 2 => Ok(()),
            3..=10 => {
                // Of the oldest ones, mostly, as receivers do; the one behind is delivered once more.
                let live = ledger.iter().filter(|(_, fate)| fate.taken && !fate.acked);
                let skip = random.below(3) as usize;
                let mut live = live.skip(skip).map(|(&key, _)| key);
                let Some((chan, seq)) = live.next() else { continue };
                let again = live.next().filter(|_| skip == 0);
                ledger.get_mut(&(chan, seq)).unwrap().acked = true;
                log.ack(chan, seq, seq).and_then(|()| match again {
                    Some(key) => attempt(log, ledger, key),
                    None => Ok(()),
                })
            }
            _ => {
                let chan = random.below(manner.channels) as u16;
                let seq = next[chan as usize];
                next[chan as usize] += 1;
                send(log, ledger, chan, seq, manner.levels[random.below(4) as usize])
            }
        };
        match outcome {
            Ok(()) | Err(LogError::Full) => {}
            Err(LogError::Failed { .. }) => return false,
            Err(error) => panic!("{error}"),
        }
    }
    true
}

pub fn send(
    log: &Log<Disk>,
    ledger: &mut Ledger,
    chan: u16,
    seq: u64,
    level: Level,
) -> Result<(), LogError> {
    let fate = ledger.entry((chan, seq)).or_default();
    let payload = payload(chan, seq);
    let message = Message::new(chan, seq, &payload);
    let sent = match chan {
        2 => log.send_once(&message, key(seq), level).map(|kept| assert_eq!(kept, Kept::New)),
        _ => log.send(&message, level).map(drop),
    };
    match sent {
        Ok(()) => {
            fate.taken = true;
            fate.durable = level == Level::Sync;
            Ok(())
        }
        Err(error) => {
            if error == LogError::Full {
                ledger.remove(&(chan, seq));
            }
            Err(error)
        }
    }
}

fn attempt(log: &Log<Disk>, ledger: &mut Ledger, key: (u16, u64)) -> Result<(), LogError> {
    let fate = ledger.get_mut(&key).unwrap();
    log.attempt(key.0, key.1, u32::from(fate.attempts) + 1)?;
    fate.attempts += 1;
    Ok(())
}

pub fn sync(log: &Log<Disk>, ledger: &mut Ledger) -> Result<(), LogError> {
    log.sync()?;
    for fate in ledger.values_mut() {
        fate.durable |= fate.taken;
        fate.ack_durable |= fate.acked;
        fate.attempts_durable = fate.attempts;
    }
    Ok(())
}

/// Opens, strictly.
pub fn open(disk: &Disk) -> (Log<Disk>, RecoveryReport) {
    Log::open(disk.clone(), options()).unwrap_or_else(|error| panic!("{error}"))
}

/// What a log hands out, compared with what its messages were.
pub fn handed_out(log: &Log<Disk>) -> Vec<(u16, u64)> {
    let mut buffer = [0; 600];
    let pending = log.pending();
    for live in pending.iter().filter(|live| live.seq != CLOSED) {
        let len = log.read(live.chan, live.seq, &mut buffer);
        let len = len.unwrap_or_else(|error| panic!("{live:?}: {error}"));
        assert!(buffer[..len] == payload(live.chan, live.seq), "another payload: {live:?}");
    }
    pending.iter().map(|live| (live.chan, live.seq)).collect()
}

/// Whether everything is kept that was promised, after a process was killed, or (`power_cut`) the power has failed.
pub fn check(log: &Log<Disk>, ledger: &Ledger, power_cut: bool) {
    let there = check_messages(log, ledger, power_cut);
    check_attempts(log, ledger, power_cut);
    check_keys(log, ledger, &there, power_cut);
}

/// The same of a log that takes nothing.
pub fn check_messages(log: &Log<Disk>, ledger: &Ledger, power_cut: bool) -> Vec<(u16, u64)> {
    let there = handed_out(log);
    for key in &there {
        let fate = ledger.get(key).unwrap_or_else(|| panic!("nobody has sent {key:?}"));
        assert!(!fate.ack_durable, "{key:?} was acknowledged, durably: {fate:?}");
    }
    for (key, fate) in ledger {
        let promised = if power_cut { fate.durable } else { fate.taken };
        if promised && !fate.acked {
            assert!(there.binary_search(key).is_ok(), "{key:?} is lost: {fate:?}");
        }
    }
    there
}

/// What lives was delivered as often as was noted down, or was about to be.
fn check_attempts(log: &Log<Disk>, ledger: &Ledger, power_cut: bool) {
    for live in log.pending() {
        let Some(fate) = ledger.get(&(live.chan, live.seq)) else { continue };
        let least = if power_cut { fate.attempts_durable } else { fate.attempts };
        assert!((least..=fate.attempts + 1).contains(&live.attempts), "{live:?}: {fate:?}");
    }
}

/// Of the last ones, as many as there may be, those that are kept are known by their keys, acknowledged or not.
fn check_keys(log: &Log<Disk>, ledger: &Ledger, there: &[(u16, u64)], power_cut: bool) {
    for (&(chan, seq), fate) in ledger.range((2, 0)..=(2, u64::MAX)).rev().take(WINDOW) {
        let promised = if power_cut { fate.durable } else { fate.taken };
        if promised || there.binary_search(&(chan, seq)).is_ok() {
            let again =
                log.send_once(&Message::new(chan, seq, b"again"), key(seq), Level::Buffered);
            assert_eq!(again, Ok(Kept::Duplicate(seq)), "{fate:?}");
        }
    }
}

/// With damage passed over.
pub fn salvaging() -> Options {
    Options { policy: OpenPolicy::Salvage, ..options() }
}
