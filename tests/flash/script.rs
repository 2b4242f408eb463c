//! A run of a log that is the same each time, and what it has been promised by it.

use std::collections::BTreeMap;

use cloakroom::journal::flash::{
    FlashError, FlashLog, FlashMemory, FlashOptions, NorError, NorSlots,
};
use cloakroom::journal::{CLOSED, Entry, Journal, RecoveryReport};

use crate::chip::{Chip, Image};
use crate::random::Random;

/// Two erase blocks.
pub const SLOT: u32 = 1024;
pub const SLOTS: u32 = 6;
pub const LONGEST: u64 = 100;

pub type Memory = FlashMemory<6, 40, 128, 6>;
pub type Log<'m, const W: usize> = FlashLog<'m, NorSlots<Chip<W>>>;

pub fn options() -> FlashOptions {
    FlashOptions { log_id: 7, max_payload: LONGEST as u32, ..FlashOptions::default() }
}

pub fn blank() -> Image {
    Image::blank((SLOT * SLOTS) as usize)
}

pub fn slots<const W: usize>(chip: &Chip<W>) -> NorSlots<Chip<W>> {
    NorSlots::new(chip.clone(), 0..SLOT * SLOTS, SLOT).unwrap()
}

/// What became of a message, as far as its sender knows.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fate {
    /// The log has said that it is durable.
    pub kept: bool,
    /// It was acknowledged, or that was tried.
    pub acked: bool,
    /// That is durable.
    pub ack_durable: bool,
    /// Attempts that the log has taken note of, and whether another was tried.
    pub attempts: u32,
    pub tried: bool,
}

/// By channel and number.
pub type Ledger = BTreeMap<(u16, u64), Fate>;

/// Any message's payload follows from its number.
pub fn payload(chan: u16, seq: u64) -> Vec<u8> {
    let mut random = Random(seq << 16 | u64::from(chan) | 1 << 40);
    let len = random.below(LONGEST + 1);
    (0..len).map(|_| random.next() as u8).collect()
}

/// Why a run ends.
#[derive(PartialEq, Debug)]
pub enum End {
    /// All steps were made.
    Done,
    /// The log has failed.
    Failed,
}

/// Sends, acknowledges, syncs and maintains, until that is done or the log fails.
pub fn run<const W: usize>(
    log: &Log<'_, W>,
    ledger: &mut Ledger,
    random: &mut Random,
    steps: u32,
) -> End {
    for _ in 0..steps {
        let outcome = match random.below(24) {
            0 | 1 => log.maintain().map(drop),
            2 => log.sync().map(|()| {
                ledger.values_mut().for_each(|fate| fate.ack_durable |= fate.acked);
            }),
            3..=11 => {
                // Of the oldest ones, mostly, as receivers do.
                let live = ledger.iter().filter(|(_, fate)| fate.kept && !fate.acked);
                let skip = random.below(3) as usize;
                let mut live = live.skip(skip).map(|(&key, _)| key);
                let Some((chan, seq)) = live.next() else { continue };
                // The one behind is delivered once more.
                let again = live.next().filter(|_| skip == 0);
                ledger.get_mut(&(chan, seq)).unwrap().acked = true;
                log.forget(chan, seq).and_then(|()| match again {
                    Some(key) => attempt(log, ledger, key),
                    None => Ok(()),
                })
            }
            _ => {
                let chan = random.below(3) as u16;
                let seq = log.last_seq() + 1;
                let fate = ledger.entry((chan, seq)).or_default();
                let kept = log.keep(&Entry { chan, seq, payload: &payload(chan, seq) }, ());
                fate.kept = kept.is_ok();
                if kept == Err(FlashError::Full) {
                    ledger.remove(&(chan, seq));
                }
                kept
            }
        };
        match outcome {
            Ok(()) | Err(FlashError::Full) => {}
            Err(FlashError::Failed | FlashError::Device(_)) => return End::Failed,
            Err(error) => panic!("{error}"),
        }
    }
    End::Done
}

fn attempt<const W: usize>(
    log: &Log<'_, W>,
    ledger: &mut Ledger,
    key: (u16, u64),
) -> Result<(), FlashError<NorError>> {
    let fate = ledger.get_mut(&key).unwrap();
    fate.tried = true;
    log.attempt(key.0, key.1, fate.attempts + 1)?;
    fate.tried = false;
    fate.attempts += 1;
    Ok(())
}

/// Whether what lives was delivered as often as was noted down, or tried; from now on that is what it was.
pub fn check_attempts<const W: usize>(log: &Log<'_, W>, ledger: &mut Ledger) {
    for chan in 0..3 {
        let mut after = 0;
        while let Some(pending) = log.next_pending(chan, after) {
            after = pending.seq;
            let Some(fate) = ledger.get_mut(&(chan, after)) else { continue };
            let most = fate.attempts + u32::from(fate.tried);
            assert!((fate.attempts..=most).contains(&pending.attempts), "{pending:?}: {fate:?}");
            (fate.attempts, fate.tried) = (pending.attempts, false);
        }
    }
}

/// Opens, strictly.
pub fn open<'m, const W: usize>(
    chip: &Chip<W>,
    memory: &'m mut Memory,
) -> Result<(Log<'m, W>, RecoveryReport), cloakroom::journal::flash::FlashOpenError<NorError>> {
    FlashLog::open(slots(chip), memory, options())
}

/// What a log hands out, compared with what its messages were.
pub fn handed_out<const W: usize>(log: &Log<'_, W>) -> Vec<(u16, u64)> {
    let mut found = Vec::new();
    for chan in 0..3 {
        let mut after = 0;
        while let Some(pending) = log.next_pending(chan, after) {
            after = pending.seq;
            let mut buffer = vec![0; pending.len];
            let read = log.read(chan, after, &mut buffer);
            read.unwrap_or_else(|error| panic!("{chan}:{after}: {error}"));
            assert!(buffer == payload(chan, after), "another payload: {chan}:{after}");
            found.push((chan, after));
        }
        assert!(!log.is_closed(chan));
        assert!(log.last_seq() != CLOSED);
    }
    assert_eq!(log.live(), found.len());
    found
}

/// Whether everything is kept that was promised.
pub fn check(there: &[(u16, u64)], ledger: &Ledger) {
    for key in there {
        let fate = ledger.get(key).unwrap_or_else(|| panic!("nobody has sent {key:?}"));
        assert!(!fate.ack_durable, "{key:?} was acknowledged, durably: {fate:?}");
    }
    for (key, fate) in ledger {
        if fate.kept && !fate.acked {
            assert!(there.binary_search(key).is_ok(), "{key:?} is lost: {fate:?}");
        }
    }
}

/// What is known after an opening: what is there lives, and what is not does not.
pub fn settle(there: &[(u16, u64)], ledger: &mut Ledger) {
    ledger.retain(|key, fate| {
        let lives = there.binary_search(key).is_ok();
        fate.kept = lives;
        fate.acked &= !lives;
        lives
    });
}
