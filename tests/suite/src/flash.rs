//! The journal in flash, on a small one that is simulated: power cuts at every write and erase, and a queue over it.

use core::array;

use cloakroom::Arena;
use cloakroom::durable::Queue;
use cloakroom::journal::flash::{FlashError, FlashLog, FlashMemory, FlashOptions, NorSlots};
use cloakroom::journal::{Entry, Journal};
use cloakroom::sync::RawMutex;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

use crate::check::Outcome;
use crate::fixture::Numbers;

tests!("flash":
    power_fails_at_every_call,
    power_fails_again_and_again,
    a_queue_survives,
);

const WORD: usize = 4;
const BLOCK: usize = 512;
const BLOCKS: usize = 6;
const LONGEST: usize = 32;
/// Messages of a run at the most.
const MESSAGES: usize = 80;

type Memory = FlashMemory<BLOCKS, 16, 64, 4>;
type Log<'m, 'c> = FlashLog<'m, NorSlots<&'c mut Chip>>;

/// Each word is written once between two erases; otherwise the write fails.
struct Chip {
    bytes: [u8; BLOCK * BLOCKS],
    used: [bool; BLOCK * BLOCKS / WORD],
    /// Writes and erases that are left before the power fails.
    left: u32,
    dead: bool,
    misused: bool,
    numbers: Numbers,
}

impl Chip {
    fn new() -> Self {
        Self {
            bytes: [0xFF; BLOCK * BLOCKS],
            used: [false; BLOCK * BLOCKS / WORD],
            left: u32::MAX,
            dead: false,
            misused: false,
            numbers: Numbers::new(1),
        }
    }

    /// Power is there, and fails in that write or erase.
    fn cut(&mut self, after: u32, seed: u32) {
        (self.left, self.dead, self.numbers) = (after, false, Numbers::new(seed));
    }

    /// Whether power fails now.
    fn call(&mut self) -> Result<bool, NorFlashErrorKind> {
        if self.dead {
            return Err(NorFlashErrorKind::Other);
        }
        self.dead = self.left == 0;
        self.left = self.left.wrapping_sub(1);
        Ok(self.dead)
    }
}

impl ErrorType for Chip {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        if self.dead {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Chip {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = BLOCK;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let (from, to) = (from as usize, to as usize);
        let cut = self.call()?;
        // Anything is there after a cut, also what looks blank, and it is not to be written to.
        let how = if cut { self.numbers.below(4) } else { 0 };
        for at in from..to {
            self.bytes[at] = match how {
                0 => 0xFF,
                1 => self.numbers.next() as u8,
                2 => self.bytes[at] | self.numbers.next() as u8,
                _ => self.bytes[at],
            };
        }
        self.used[from / WORD..to / WORD].fill(cut);
        if cut { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let cut = self.call()?;
        let (at, words) = (offset as usize, bytes.len() / WORD);
        self.misused |= at % WORD != 0 || bytes.len() % WORD != 0;
        self.misused |= self.used[at / WORD..][..words].contains(&true);
        let whole = if cut { self.numbers.below(words) * WORD } else { bytes.len() };
        self.bytes[at..at + whole].copy_from_slice(&bytes[..whole]);
        self.used[at / WORD..][..whole / WORD].fill(true);
        if cut {
            // Some bits of a word.
            for at in at + whole..at + whole + WORD {
                self.bytes[at] &= self.numbers.next() as u8;
            }
            self.used[(at + whole) / WORD] = true;
            return Err(NorFlashErrorKind::Other);
        }
        Ok(())
    }
}

/// What became of a message.
#[derive(Clone, Copy, Default, PartialEq)]
struct Fate {
    tried: bool,
    kept: bool,
    acked: bool,
    ack_durable: bool,
}

fn open<'m, 'c>(chip: &'c mut Chip, memory: &'m mut Memory) -> Option<Log<'m, 'c>> {
    let area = 0..(BLOCK * BLOCKS) as u32;
    let slots = NorSlots::new(chip, area, BLOCK as u32).ok()?;
    let options = FlashOptions { max_payload: LONGEST as u32, ..FlashOptions::default() };
    FlashLog::open(slots, memory, options).ok().map(|(log, _)| log)
}

fn payload(seq: usize) -> ([u8; LONGEST], usize) {
    (array::from_fn(|at| (seq * 31 + at * 7) as u8), seq * 7 % (LONGEST + 1))
}

/// What is there is what was promised; and from now on what is there lives, and what is not does not.
fn check(log: &Log<'_, '_>, fates: &mut [Fate; MESSAGES]) -> Outcome {
    let mut found = [false; MESSAGES];
    let mut after = 0;
    while let Some(pending) = log.next_pending(1, after) {
        after = pending.seq;
        let seq = after as usize;
        let (bytes, len) = payload(seq);
        let mut buffer = [0; LONGEST];
        check!(seq < MESSAGES && pending.len == len);
        ok!(log.read(1, after, &mut buffer[..len]));
        check!(buffer[..len] == bytes[..len]);
        check!(fates[seq].tried && !fates[seq].ack_durable);
        found[seq] = true;
    }
    for (fate, found) in fates.iter_mut().zip(found) {
        check!(found || !fate.kept || fate.acked);
        (fate.kept, fate.acked, fate.tried) = (found, false, found);
    }
    Ok(())
}

/// Sends, acknowledges, syncs and maintains, until that is done or the power fails.
fn run(
    log: &Log<'_, '_>,
    fates: &mut [Fate; MESSAGES],
    numbers: &mut Numbers,
    steps: u32,
) -> Outcome {
    for _ in 0..steps {
        let outcome = match numbers.below(8) {
            0 => log.maintain().map(drop),
            1 => log.sync().map(|()| {
                fates.iter_mut().for_each(|fate| fate.ack_durable |= fate.acked);
            }),
            2..5 => {
                let lives = |fate: &Fate| fate.kept && !fate.acked;
                let Some(seq) = fates.iter().position(lives) else { continue };
                fates[seq].acked = true;
                log.forget(1, seq as u64)
            }
            _ => {
                let seq = log.last_seq() as usize + 1;
                let Some(fate) = fates.get_mut(seq) else { continue };
                let (bytes, len) = payload(seq);
                fate.tried = true;
                let kept =
                    log.keep(&Entry { chan: 1, seq: seq as u64, payload: &bytes[..len] }, ());
                fate.kept = kept.is_ok();
                kept
            }
        };
        match outcome {
            Ok(()) | Err(FlashError::Full) => {}
            Err(FlashError::Failed | FlashError::Device(_)) => return Ok(()),
            _ => check!(false),
        }
    }
    Ok(())
}

/// Opens and runs a log twice, or until the power fails.
fn scripted(chip: &mut Chip, memory: &mut Memory, fates: &mut [Fate; MESSAGES]) -> Outcome {
    let mut numbers = Numbers::new(5);
    for _ in 0..2 {
        let Some(log) = open(chip, memory) else { break };
        check(&log, fates)?;
        run(&log, fates, &mut numbers, 60)?;
        if chip.dead {
            break;
        }
    }
    check!(!chip.misused);
    Ok(())
}

fn every_call() -> Outcome {
    let mut memory = Memory::new();
    for call in 0.. {
        let (mut chip, mut fates) = (Chip::new(), [Fate::default(); MESSAGES]);
        chip.cut(call, call + 1);
        scripted(&mut chip, &mut memory, &mut fates)?;
        let done = !chip.dead;
        for _ in 0..2 {
            chip.cut(u32::MAX, 1);
            let log = expect!(open(&mut chip, &mut memory), Some(log) => log);
            check(&log, &mut fates)?;
        }
        check!(!chip.misused);
        if done {
            check!(call > 40);
            break;
        }
    }
    Ok(())
}

#[expect(
    clippy::extra_unused_type_parameters,
    reason = "tests are run for each lock; here there is none"
)]
fn power_fails_at_every_call<M: RawMutex + 'static>() -> Outcome {
    every_call()
}

/// One log, with cuts at random, of recoveries, too.
fn again_and_again() -> Outcome {
    let mut memory = Memory::new();
    let mut numbers = Numbers::new(9);
    let (mut chip, mut fates) = (Chip::new(), [Fate::default(); MESSAGES]);
    let mut cuts = 0;
    for _ in 0..60 {
        let after = [8, 60][numbers.below(2)];
        chip.cut(numbers.below(after) as u32, numbers.next());
        if let Some(log) = open(&mut chip, &mut memory) {
            check(&log, &mut fates)?;
            run(&log, &mut fates, &mut numbers, 20)?;
        } else {
            check!(chip.dead);
        }
        cuts += u32::from(chip.dead);
        check!(!chip.misused);
    }
    check!(cuts > 30);
    Ok(())
}

#[expect(
    clippy::extra_unused_type_parameters,
    reason = "tests are run for each lock; here there is none"
)]
fn power_fails_again_and_again<M: RawMutex + 'static>() -> Outcome {
    again_and_again()
}

fn a_queue_survives<M: RawMutex + 'static>() -> Outcome {
    let (mut chip, mut memory) = (Chip::new(), Memory::new());
    let arena: Arena<M, 8, 16, 4> = Arena::new();
    {
        let log = expect!(open(&mut chip, &mut memory), Some(log) => log);
        let queue = Queue::<M, _, 2, 1>::new(arena.handle(), &log, 1, ());
        for text in [b"one", b"two"] {
            let lease = ok!(arena.try_alloc_from(text));
            let lease = expect!(lease.try_into_mut(), Ok(lease) => lease);
            check!(queue.try_send(lease).is_ok());
        }
        let one = expect!(queue.try_recv(), Ok(delivery) => delivery);
        check!(one.ack().is_ok() && log.sync().is_ok());
    }
    let log = expect!(open(&mut chip, &mut memory), Some(log) => log);
    let queue = Queue::<M, _, 2, 1>::new(arena.handle(), &log, 1, ());
    let two = expect!(queue.try_recv(), Ok(delivery) => delivery);
    check!(two.may_be_again() && *two == *b"two");
    check!(two.ack().is_ok());
    check!(queue.try_recv().is_err());
    Ok(())
}
