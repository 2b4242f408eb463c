//! Opening: recovery over files, then the next segment.

use std::boxed::Box;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::error::OpenError;
use super::files::{LogFile, LogFiles, blank, read_all, uninterrupted, write_all};
use super::log::Log;
use super::options::Options;
use super::rounds::Rounds;
use super::slots::{
    first_of, header, make_slot, next_number, stage_checkpoint, stage_keys, write_headers,
};
use super::stage::{RESERVE, Stage};
use super::state::{Holds, Slot, State, bytes_of, count};
use super::sync::{Condvar, Mutex};
use super::waiters::Waiters;
use crate::journal::{
    Binding, Checkpoint, Damage, Index, Keys, Kind, Live, LogDevice, Memory, OpenPolicy, Position,
    Record, RecoverError, RecoveryReport, Remembered, Shape, SlotState, Span, record_len, recover,
};

/// What is read at a time.
const WINDOW: usize = 256 << 10;

impl<F: LogFiles> Log<F> {
    /// Recovers the log in `files`, or begins one, and makes durable what it hands out.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A log that is refused is as it was.
    pub fn open(files: F, options: Options) -> Result<(Self, RecoveryReport), OpenError> {
        options.check()?;
        let drain = options.policy == OpenPolicy::Drain;
        let mut numbers = files.list()?;
        numbers.sort_unstable();
        let opened = numbers.iter().map(|&number| files.open(number, !drain));
        let opened = opened.collect::<io::Result<Vec<_>>>()?;
        let mut device = Files { files: opened, options: &options };
        let found = recovered(&mut device, &options)?;
        let report = found.report;
        let mut state = begin(&files, &options, &numbers, device.files, found)?;
        state.draining = drain;
        let options = options.with_room_for(state.live_bytes);
        let state = Mutex::new(state);
        let [changed, even, odd, gathered, work, due] = [(); 6].map(|()| Condvar::new());
        let synced = [even, odd];
        let log = Self { files, options, state, changed, synced, gathered, work, due };
        log.restore_reserve();
        Ok((log, report))
    }
}

impl<F: LogFiles> Log<F> {
    /// Opening took a slot, if there was none to spare one more than the options say: who opens it and dies, again and again,
    /// must not take more and more. If nothing can be freed, that is no reason not to open it.
    fn restore_reserve(&self) {
        let state = self.lock();
        let has_spare = state.count_slots().0 > 0;
        if state.draining || has_spare || state.oldest() == state.segment() {
            return;
        }
        // For one that may yet be made there may be no room.
        if self.prepare(state).is_err() {
            drop(self.collect_oldest(self.lock()));
        }
    }
}

/// The files as a device.
struct Files<'o, F> {
    files: Vec<F>,
    options: &'o Options,
}

impl<F: LogFile> LogDevice for Files<'_, F> {
    type Error = io::Error;

    fn slots(&self) -> u32 {
        self.files.len() as u32
    }

    fn segment_bytes(&self) -> u32 {
        self.options.segment_bytes
    }

    fn available(&mut self, slot: u32) -> io::Result<u32> {
        let size = self.files[slot as usize].size()?;
        Ok(size.min(u64::from(self.options.segment_bytes)) as u32)
    }

    fn read(&mut self, slot: u32, offset: u32, buffer: &mut [u8]) -> io::Result<()> {
        read_all(&self.files[slot as usize], buffer, u64::from(offset))
    }

    fn write(&mut self, slot: u32, offset: u32, bytes: &[u8]) -> io::Result<()> {
        write_all(&self.files[slot as usize], bytes, u64::from(offset))
    }

    fn sync(&mut self, slot: u32) -> io::Result<()> {
        uninterrupted(|| self.files[slot as usize].sync())
    }

    fn renew(&mut self, slot: u32) -> io::Result<()> {
        let file = &self.files[slot as usize];
        super::files::blank(file, self.options.segment_bytes, self.options.zeros)
    }
}

/// What a recovery has found, on the heap.
struct Found {
    report: RecoveryReport,
    log_id: Option<u128>,
    next: u64,
    previous_end: u32,
    checkpoint: Checkpoint,
    slots: Vec<SlotState>,
    damage: Vec<Damage>,
    live: Index<Box<[Live]>>,
    keys: Keys<Box<[Remembered]>>,
}

/// Recovers with as much memory as it takes.
fn recovered<F: LogFile>(device: &mut Files<'_, F>, options: &Options) -> Result<Found, OpenError> {
    let mut window = vec![0; WINDOW];
    let mut damages = 64;
    let mut messages = options.max_messages;
    loop {
        let mut slots = vec![SlotState::default(); device.files.len()];
        let mut damage = vec![Damage::default(); damages];
        // Of 8 entries of an index 7 can be used.
        let live = vec![Live::default(); messages + messages / 7 + 2].into_boxed_slice();
        let keys = vec![Remembered::default(); options.keyed_queues.saturating_mul(options.keys)];
        let mut report = RecoveryReport::default();
        let memory = Memory {
            window: &mut window,
            slots: &mut slots,
            damage: &mut damage,
            report: &mut report,
            live,
            keys: Keys::new(keys.into_boxed_slice(), options.keys),
        };
        match recover(device, memory, options.policy, options.geometry) {
            Ok(found) => {
                return Ok(Found {
                    report: *found.report,
                    log_id: found.log_id,
                    next: found.next,
                    previous_end: found.previous_end,
                    checkpoint: found.checkpoint,
                    slots: found.slots.to_vec(),
                    damage: found.damage.to_vec(),
                    live: found.live,
                    keys: found.keys,
                });
            }
            Err(RecoverError::TooMuchDamage { have }) => damages = have * 2,
            Err(RecoverError::TooManyMessages { have }) => messages = have * 2,
            Err(RecoverError::Refused { damage }) => {
                return Err(OpenError::Refused { damage, report: Box::new(report) });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes what was found durable, and begins the next segment.
fn begin<F: LogFiles>(
    files: &F,
    options: &Options,
    numbers: &[u32],
    opened: Vec<F::File>,
    found: Found,
) -> Result<State<F::File>, OpenError> {
    let drain = options.policy == OpenPolicy::Drain;
    let mut slots: Vec<Slot<F::File>> = Vec::with_capacity(numbers.len() + 1);
    for (&number, file) in numbers.iter().zip(opened) {
        slots.push(Slot { file: Arc::new(file), number, holds: Holds::Unknown, live: 0 });
    }
    for state in &found.slots {
        let holds = match (state.segment, state.spare) {
            (0, true) => Holds::Spare { blank: false },
            (0, false) => Holds::Unknown,
            (segment, _) => Holds::Segment(segment),
        };
        slots[state.slot as usize].holds = holds;
    }
    // One for which there was no room is none yet. It has the last number.
    while let Some(last) = slots.last().filter(|slot| slot.holds == Holds::Spare { blank: false }) {
        if drain || last.file.size()? > 0 {
            break;
        }
        slots.pop();
    }
    found.live.iter().for_each(|live| count(&mut slots, live, |live| live + 1));
    let log_id = found.log_id.unwrap_or_else(random);
    let previous = Position { segment: found.next - 1, offset: found.previous_end };
    // The place is no segment's while the log is drained: nothing is ever written there.
    let mut current = 0;
    if !drain {
        // After a kill what was read may be in the system's memory only.
        for slot in slots.iter().filter(|slot| matches!(slot.holds, Holds::Segment(_))) {
            uninterrupted(|| slot.file.sync())?;
        }
        uninterrupted(|| files.sync_names())?;
        // No segment may be there twice: one that was begun is begun again where it was.
        let begun = found.slots.iter().find(|state| state.begun);
        let spare = Holds::Spare { blank: false };
        let place = match begun {
            Some(state) => Some(state.slot as usize),
            None => slots.iter().position(|slot| slot.holds == spare),
        };
        current = match place {
            Some(place) => {
                blank(&*slots[place].file, options.segment_bytes, options.zeros)?;
                place
            }
            None => {
                let number = next_number(&slots).ok_or(OpenError::Full)?;
                slots.push(make_slot(files, number, options)?);
                slots.len() - 1
            }
        };
        let header = header(options, log_id, found.next, found.previous_end);
        write_headers(&*slots[current].file, &header)?;
        slots[current].holds = Holds::Segment(found.next);
    }
    let start = first_of(found.next);
    let binding = Binding { log_id, segment: found.next, shape: Shape::Long };
    let live_bytes = found.live.iter().map(bytes_of).sum();
    // Of messages that are to be copied some day: those found may be longer than those to come.
    let longest = found.live.iter().map(|live| live.body_len).max().unwrap_or(0);
    let longest = longest.max(options.max_payload) as usize;
    let copied = record_len(longest).map_or(0, |len| len as usize);
    // All of them are staged at once. They fit in a segment, whose length is 32 bits.
    let keys = options.keys_bytes() as usize;
    let mut state = State {
        stage: Stage::new(options.stage_bytes.max(copied + RESERVE) + keys, binding, start.offset),
        slots,
        current,
        written: if drain { previous } else { start },
        durable: start,
        framed: start,
        writing: false,
        syncing: false,
        collecting: false,
        preparing: false,
        no_room: false,
        waiters: Waiters::default(),
        sync_wanted: start,
        sync_asked_in: 0,
        room_wanted: 0,
        syncer_rests: false,
        waiting: 0,
        rounds: Rounds::default(),
        failed: None,
        draining: drain,
        closed: false,
        index: found.live,
        keys: found.keys,
        live_bytes,
        checkpoint: found.checkpoint,
        dirty: None,
        copied_in: None,
        payload: vec![0; longest].into_boxed_slice(),
    };
    if !drain {
        first_records(&mut state, &found.damage)?;
    }
    Ok(state)
}

/// A checkpoint, the keys that are remembered, and a scar for each damage that was passed over: durable before anything else is, and without a
/// frame, so that a tear among them is no damage.
fn first_records<F: LogFile>(state: &mut State<F>, damage: &[Damage]) -> Result<(), OpenError> {
    let file = state.slots[state.current].file.clone();
    let flush = |stage: &mut Stage| {
        let outcome = write_all(&*file, &stage.filling[..stage.len], u64::from(stage.start));
        stage.start += core::mem::take(&mut stage.len) as u32;
        outcome
    };
    stage_checkpoint(state);
    stage_keys(state);
    for damage in damage {
        let body = Span { from: damage.from, to: damage.to }.encode();
        if let Some(scar) = Record::new(Kind::Scar, 0, 0, &body) {
            if !state.stage.has_room(scar.len()) {
                flush(&mut state.stage)?;
            }
            state.stage.put(&scar);
        }
    }
    flush(&mut state.stage)?;
    uninterrupted(|| file.sync())?;
    state.written = state.stage.end();
    state.durable = state.written;
    state.framed = state.written;
    Ok(())
}

/// A log's id: from the system's random numbers, by way of what seeds hash tables with them.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    half() << 64 | half()
}
