//! Opening: recovery, then the next segment.

use core::cell::RefCell;

use super::acks::Acks;
use super::error::FlashOpenError;
use super::log::{FlashLog, State, bytes_of};
use super::memory::{FlashMemory, FlashOptions};
use super::space::area;
use super::tail::{SPAN, Tail};
use crate::journal::recover::recover_or_begin;
use crate::journal::reserve::For;
use crate::journal::{
    Binding, Checkpoint, Damage, Index, Keys, Live, LogDevice, Memory, OpenPolicy, Position,
    RecoveryReport, Remembered, Shape, SlotState, Span,
};

impl<'m, D: LogDevice> FlashLog<'m, D> {
    /// Recovers the log on `device`, or begins one.
    ///
    /// That takes an erase, mostly, and reads all of the log. A power cut meanwhile changes nothing: the next opening finds the same.
    ///
    /// # Errors
    ///
    /// [`FlashOpenError`]. A log that is refused is as it was. An area that was used for something else is refused, too: see
    /// [`erase_all`](super::NorSlots::erase_all).
    pub fn open<
        const SLOTS: usize,
        const MESSAGES: usize,
        const BUFFER: usize,
        const RANGES: usize,
        const KEYS: usize,
    >(
        mut device: D,
        memory: &'m mut FlashMemory<SLOTS, MESSAGES, BUFFER, RANGES, KEYS>,
        options: FlashOptions,
    ) -> Result<(Self, RecoveryReport), FlashOpenError<D::Error>> {
        let FlashMemory { slots, damage, live, buffer, ranges, keys, report } = memory;
        let window = match options.key_window {
            0 => KEYS,
            window => window as usize,
        };
        let keys = Keys::new(&mut keys[..], window);
        let word = device.word();
        check(&device, &options, SLOTS, BUFFER, keys.most_bytes(word))?;
        let slots = &mut slots[..device.slots() as usize];
        let (damage, ranges) = (damage.as_flattened_mut(), Acks::new(ranges));
        let drain = options.policy == OpenPolicy::Drain;
        let mut parts = Parts { buffer, slots, damage, report };
        let mut found = scan(&mut device, &mut parts, live, keys, &options)?;
        // What is in the newest segment is known without it, and no slot but its own is left to begin one in.
        if let (Some(slot), false) = (found.to_begin_again, drain) {
            let entries = found.live.into_entries();
            let keys = Keys::new(found.keys.into_places(), window);
            let mut device = Without { device: &mut device, slot };
            found = scan(&mut device, &mut parts, entries, keys, &options)?;
        }
        let Parts { buffer, slots, damage, report } = parts;
        let newest = slots[..found.segments].last().map(|newest| newest.slot);
        for slot in slots.iter_mut() {
            slot.spare |= slot.segment == 0 && options.policy == OpenPolicy::Salvage;
            // An erase, or a write, may have been interrupted: blank is what was erased and looked at since.
            slot.blank = false;
        }
        slots.sort_unstable_by_key(|slot| slot.slot);
        let log_id = found.log_id.unwrap_or(options.log_id);
        let previous = Position { segment: found.next - 1, offset: found.previous_end };
        let longest = found.live.iter().map(|live| live.body_len).max().unwrap_or(0);
        let longest = bytes_of(longest.max(options.max_payload), word);
        let mut state = State {
            device,
            options,
            live_bytes: found
                .live
                .iter()
                .map(|live| u64::from(bytes_of(live.body_len, word)))
                .sum(),
            index: found.live,
            keys: found.keys,
            slots,
            acks: ranges,
            buffer,
            tail: Tail {
                binding: Binding { log_id, segment: previous.segment, shape: Shape::Short },
                // A log begins in the first slot, whatever became of it before.
                slot: newest.unwrap_or(u32::MAX),
                end: previous.offset,
                filled: 0,
                durable: previous,
            },
            checkpoint: found.checkpoint,
            longest,
            sealing: false,
            failed: false,
            closed: false,
            draining: drain,
        };
        if !drain {
            state.begin(&damage[..found.damages])?;
        }
        Ok((Self { state: RefCell::new(state) }, *report))
    }
}

impl<D: LogDevice> State<'_, D> {
    /// Begins the next segment, and notes down what was passed over.
    fn begin(&mut self, damage: &[Damage]) -> Result<(), FlashOpenError<D::Error>> {
        self.begin_next()?;
        // The slot was the last one. Now somebody who opens it, and dies, and opens it again, does not come to have none.
        if self.free() == 0 {
            self.collect_oldest()?;
        }
        for damage in damage {
            self.make_room(self.whole(SPAN), For::Acks)?;
            self.put_scar(Span { from: damage.from, to: damage.to })?;
        }
        self.sealing = true;
        Ok(())
    }
}

/// What a recovery works in, for as long as it does.
struct Parts<'p> {
    buffer: &'p mut [u8],
    slots: &'p mut [SlotState],
    damage: &'p mut [Damage],
    report: &'p mut RecoveryReport,
}

/// What it has found.
struct Found<'m> {
    log_id: Option<u128>,
    next: u64,
    previous_end: u32,
    checkpoint: Checkpoint,
    segments: usize,
    damages: usize,
    live: Index<&'m mut [Live]>,
    keys: Keys<&'m mut [Remembered]>,
    /// The slot of the newest segment, if it is redundant and there is no spare slot.
    to_begin_again: Option<u32>,
}

fn scan<'m, D: LogDevice>(
    device: &mut D,
    parts: &mut Parts<'_>,
    live: &'m mut [Live],
    keys: Keys<&'m mut [Remembered]>,
    options: &FlashOptions,
) -> Result<Found<'m>, FlashOpenError<D::Error>> {
    let memory = Memory {
        window: &mut *parts.buffer,
        slots: &mut *parts.slots,
        damage: &mut *parts.damage,
        report: &mut *parts.report,
        live,
        keys,
    };
    let (policy, geometry) = (options.policy, options.geometry);
    let found = recover_or_begin(device, memory, policy, geometry, Some(options.log_id));
    let found = found.map_err(FlashOpenError::Recover)?;
    let newest = found.slots[..found.segments].last();
    let salvage = options.policy == OpenPolicy::Salvage;
    let used = |slot: &SlotState| !slot.spare && (slot.segment != 0 || !salvage);
    let full = found.slots.iter().all(used);
    Ok(Found {
        log_id: found.log_id,
        next: found.next,
        previous_end: found.previous_end,
        checkpoint: found.checkpoint,
        segments: found.segments,
        damages: found.damage.len(),
        to_begin_again: newest.filter(|newest| full && newest.redundant).map(|slot| slot.slot),
        live: found.live,
        keys: found.keys,
    })
}

fn check<D: LogDevice>(
    device: &D,
    options: &FlashOptions,
    slots: usize,
    buffer: usize,
    keys: u64,
) -> Result<(), FlashOpenError<D::Error>> {
    let fits = |holds, what| if holds { Ok(()) } else { Err(FlashOpenError::Options(what)) };
    let bytes = device.segment_bytes();
    fits(device.slots() >= 4, "fewer than 4 slots")?;
    fits(device.slots() as usize <= slots, "more slots than the memory is for")?;
    let word = device.word();
    fits(word.is_power_of_two() && (8..=64).contains(&word), "words of 8 to 64 bytes")?;
    fits(bytes % word == 0, "slots that are no multiple of a word")?;
    fits(buffer % word as usize == 0, "a buffer that is no multiple of a word")?;
    fits(options.max_payload <= u16::MAX.into(), "payloads of 64 KiB")?;
    let longest = bytes_of(options.max_payload, word);
    let area = area(bytes, word);
    fits(keys <= u64::from(area / 2), "slots too short for as many keys")?;
    // The cast keeps the value: it was just compared.
    fits(longest <= (area - keys as u32) / 4, "slots too short for four payloads")
}

/// A device on which one slot reads as blank.
struct Without<'d, D> {
    device: &'d mut D,
    slot: u32,
}

impl<D: LogDevice> LogDevice for Without<'_, D> {
    type Error = D::Error;

    fn slots(&self) -> u32 {
        self.device.slots()
    }

    fn segment_bytes(&self) -> u32 {
        self.device.segment_bytes()
    }

    fn available(&mut self, slot: u32) -> Result<u32, D::Error> {
        self.device.available(slot)
    }

    fn word(&self) -> u32 {
        self.device.word()
    }

    fn erases(&self) -> bool {
        self.device.erases()
    }

    fn read(&mut self, slot: u32, offset: u32, buffer: &mut [u8]) -> Result<(), D::Error> {
        if slot == self.slot {
            buffer.fill(0);
            return Ok(());
        }
        self.device.read(slot, offset, buffer)
    }

    fn write(&mut self, slot: u32, offset: u32, bytes: &[u8]) -> Result<(), D::Error> {
        self.device.write(slot, offset, bytes)
    }

    fn sync(&mut self, slot: u32) -> Result<(), D::Error> {
        self.device.sync(slot)
    }

    fn renew(&mut self, slot: u32) -> Result<(), D::Error> {
        self.device.renew(slot)
    }
}
