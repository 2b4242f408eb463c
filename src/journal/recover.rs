//! Recovery: from what lies in the slots to what lives, and what became of the rest. It writes nothing.
//!
//! | rule | here |
//! |---|---|
//! | R0 the log is whole: numbers without gaps, of one log | `survey.rs` |
//! | R1 what does not verify is passed over, to the next record that verifies where it is | [`scan`](super::scan) |
//! | R2 damage before what a frame calls durable is damage of acknowledged data; the rest is a torn end | `Fold::judge` |
//! | R3 what to do about it is the caller's choice | [`OpenPolicy`] |
//! | R4 nothing is appended to a segment that was recovered | [`Recovered::next`] |
//! | R5 what is handed out is durable first | who opens the log; [`Recovered::segments`] says what to sync |
//! | R6 messages are told apart by channel and number, the newest record counts | `Fold::record` |
//! | R7 a crash on the way changes nothing | nothing is written; a begun segment without records is begun again |

use super::device::LogDevice;
use super::index::{Index, Live};
use super::keys::{Keys, PAIR, Remembered};
use super::record::{Binding, CLOSED, Checkpoint, Flags, Kind, Position, RecordHeader, Span};
use super::report::{Damage, DamageKind, OpenPolicy, RecoverError, RecoveryReport};
use super::scan::{Item, MIN_WINDOW, Scanner, Window};
use super::segment::{SEGMENT_HEADER, field};
use super::survey::Survey;

/// No log comes to a number behind that, and those of its segments to come can still be counted.
pub(super) const LAST: u64 = u64::MAX / 2;

/// What entries of an index lie in.
pub trait Lives: AsRef<[Live]> + AsMut<[Live]> {}
impl<T: AsRef<[Live]> + AsMut<[Live]>> Lives for T {}

/// What keys lie in.
pub trait Remembers: AsRef<[Remembered]> + AsMut<[Remembered]> {}
impl<T: AsRef<[Remembered]> + AsMut<[Remembered]>> Remembers for T {}

/// The memory that a recovery works in.
#[derive(Debug)]
pub struct Memory<'m, L = &'m mut [Live], K = &'m mut [Remembered]> {
    /// What is read at a time, from [`MIN_WINDOW`] bytes on.
    pub window: &'m mut [u8],
    /// One for each slot.
    pub slots: &'m mut [SlotState],
    /// One for each piece of damage.
    pub damage: &'m mut [Damage],
    /// Where the report goes, of a log that is refused, too.
    pub report: &'m mut RecoveryReport,
    /// For what lives: 8 entries for 7 messages, one at least left free.
    pub live: L,
    /// For keys that are remembered. What there is no room for is not.
    pub keys: Keys<K>,
}

/// What is in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotState {
    /// Which slot.
    pub slot: u32,
    /// The number of the segment in it; 0 if there is none.
    pub segment: u64,
    /// Whether it may be written over. If not, and there is no segment, it holds something that is not understood.
    pub spare: bool,
    /// Whether it is spare, and has the headers of [`Recovered::next`]: that is to be begun here, or this is made blank
    /// before that is begun elsewhere, as no segment may be there twice.
    pub begun: bool,
    /// Whether it is spare, and is known to be blank: for who writes, recovery does not say so.
    #[cfg(feature = "flash")]
    pub(super) blank: bool,
    /// Of the newest segment: whether nothing is in it that is not known without it, too: copies of messages whose originals
    /// are still there, a checkpoint that says nothing new. Whoever has no spare slot may begin it again.
    pub redundant: bool,
    /// Where its records end.
    pub end: u32,
    pub(super) available: u32,
    pub(super) previous_end: u32,
    pub(super) one_header: bool,
}

#[cfg(feature = "flash")]
impl SlotState {
    pub(super) const NONE: Self = Self {
        slot: 0,
        segment: 0,
        spare: false,
        begun: false,
        blank: false,
        redundant: false,
        end: 0,
        available: 0,
        previous_end: 0,
        one_header: false,
    };
}

/// What a recovery has found.
#[derive(Debug)]
pub struct Recovered<'m, L = &'m mut [Live], K = &'m mut [Remembered]> {
    /// In numbers.
    pub report: &'m RecoveryReport,
    /// The log's id; `None` if there is no log yet.
    pub log_id: Option<u128>,
    /// The number of the segment that is to be begun.
    pub next: u64,
    /// Its `previous_end`.
    pub previous_end: u32,
    /// The newest checkpoint, brought up to date: what the new segment is to begin with.
    pub checkpoint: Checkpoint,
    /// All slots: segments first, from the oldest to the newest.
    pub slots: &'m [SlotState],
    /// How many of the slots are segments of the log.
    pub segments: usize,
    /// The damage that no scar says was passed over before: the scars that the new segment is to begin with.
    pub damage: &'m [Damage],
    /// What lives.
    pub live: Index<L>,
    /// Keys that are remembered.
    pub keys: Keys<K>,
}

/// Reads a log.
///
/// `geometry` is compared with that of the segments. The same log gives the same result however often it is read.
///
/// # Errors
///
/// [`RecoverError`]: the memory is too small for it, it is another log or of a later format, or it is damaged and `policy`
/// is [`OpenPolicy::Strict`].
///
/// # Example
///
/// ```
/// use cloakroom::journal::{
///     Damage, Keys, Live, LogDevice, Memory, OpenPolicy, RecoveryReport, SlotState, recover,
/// };
///
/// /// Two sectors that were never written.
/// struct Blank;
/// impl LogDevice for Blank {
///     type Error = ();
///     fn slots(&self) -> u32 { 2 }
///     fn segment_bytes(&self) -> u32 { 4096 }
///     fn read(&mut self, _: u32, _: u32, buffer: &mut [u8]) -> Result<(), ()> { buffer.fill(0); Ok(()) }
///     fn write(&mut self, _: u32, _: u32, _: &[u8]) -> Result<(), ()> { Err(()) }
///     fn sync(&mut self, _: u32) -> Result<(), ()> { Err(()) }
///     fn renew(&mut self, _: u32) -> Result<(), ()> { Err(()) }
/// }
///
/// let memory = Memory {
///     window: &mut [0; 256],
///     slots: &mut [SlotState::default(); 2],
///     damage: &mut [Damage::default(); 8],
///     report: &mut RecoveryReport::default(),
///     live: &mut [Live::default(); 64][..],
///     keys: Keys::none(),
/// };
/// let found = recover(&mut Blank, memory, OpenPolicy::Strict, 0).unwrap();
/// assert_eq!((found.log_id, found.next, found.live.len()), (None, 1, 0));
/// ```
pub fn recover<'m, D: LogDevice, L: Lives, K: Remembers>(
    device: &mut D,
    memory: Memory<'m, L, K>,
    policy: OpenPolicy,
    geometry: u32,
) -> Result<Recovered<'m, L, K>, RecoverError<D::Error>> {
    recover_or_begin(device, memory, policy, geometry, None)
}

/// As [`recover`]; if there is no log yet, one of the id `begins` may have been begun.
pub(super) fn recover_or_begin<'m, D: LogDevice, L: Lives, K: Remembers>(
    device: &mut D,
    memory: Memory<'m, L, K>,
    policy: OpenPolicy,
    geometry: u32,
    begins: Option<u128>,
) -> Result<Recovered<'m, L, K>, RecoverError<D::Error>> {
    let Memory { window, slots, damage, report, live, keys } = memory;
    if window.len() < MIN_WINDOW {
        return Err(RecoverError::WindowTooSmall);
    }
    *report = RecoveryReport::default();
    let mut window = Window::new(window);
    let mut fold = Fold {
        report,
        checkpoint: Checkpoint { first: 1, ..Checkpoint::default() },
        durable: Position::default(),
        live: Index::new(live),
        keys,
        damage,
        damages: 0,
        erases: device.erases(),
        news: false,
        is_cut_off: false,
        lost: false,
    };
    let survey = Survey::take(device, &mut window, slots, &mut fold, geometry)?;
    let segments = survey.segments;
    for index in 0..segments {
        let (state, follows) = (slots[index], slots[..segments].get(index + 1).copied());
        let follows = follows.filter(|next| next.segment == state.segment + 1);
        let log_id = survey.log_id.unwrap_or_default();
        // What is done with may be erased in part.
        if state.segment >= survey.first {
            slots[index] = fold.segment(device, &mut window, log_id, state, follows.as_ref())?;
        }
    }
    if device.erases() {
        let slots = &mut slots[..device.slots() as usize];
        fold.give_up(device, &mut window, slots, segments, survey.log_id.or(begins));
    }
    fold.finish(policy, &mut slots[..device.slots() as usize], segments, survey.log_id)
}

/// What a record says, if it is a checkpoint.
pub(super) fn checkpoint<D: LogDevice>(
    device: &mut D,
    window: &mut Window<'_>,
    offset: u32,
    header: &RecordHeader,
) -> Option<Checkpoint> {
    let is_one = header.kind() == Some(Kind::Checkpoint);
    if !is_one || header.body_len as usize != Checkpoint::LEN {
        return None;
    }
    let body = offset + header.header_len(device.shape());
    window.array(device, body).map(|bytes| Checkpoint::decode(&bytes))
}

/// What the records come to.
pub(super) struct Fold<'m, L, K> {
    report: &'m mut RecoveryReport,
    pub(super) checkpoint: Checkpoint,
    /// The latest that a frame says of what was durable.
    durable: Position,
    pub(super) live: Index<L>,
    pub(super) keys: Keys<K>,
    pub(super) damage: &'m mut [Damage],
    pub(super) damages: usize,
    /// Of the device. If so, damage for which there is no room becomes part of what was found before, in the same segment: an
    /// erase that was interrupted leaves a lot of it.
    erases: bool,
    /// Whether something was in this segment that was not known before.
    news: bool,
    /// Whether the newest segment of a device that erases has damage before this. If it is redundant, that may be an erase that
    /// was interrupted: what it says of segments that are not needed is not true without the copies that were there, too. An
    /// unreadable record can come to be readable by such an erase.
    is_cut_off: bool,
    /// Whether a record was damaged that was news.
    lost: bool,
}

impl<'m, L: Lives, K: Remembers> Fold<'m, L, K> {
    /// One segment; `next` is the one that follows it, if it is there.
    fn segment<D: LogDevice>(
        &mut self,
        device: &mut D,
        window: &mut Window<'_>,
        log_id: u128,
        mut state: SlotState,
        next: Option<&SlotState>,
    ) -> Result<SlotState, RecoverError<D::Error>> {
        let whole = device.segment_bytes();
        let room = whole - SEGMENT_HEADER as u32;
        // Whoever began the next segment knew where this one ends: what is behind that was passed over then.
        let known = next.map(|next| next.previous_end.min(room));
        let limit = known.unwrap_or(room);
        window.open(state.slot, state.available);
        let binding = Binding { log_id, segment: state.segment, shape: device.shape() };
        let mut scanner = Scanner::new(binding, limit.min(state.available), device.word());
        let at = |offset| Position { segment: state.segment, offset };
        let mut records = 0_u64;
        let mut last = 0;
        (self.news, self.is_cut_off, self.lost) = (false, false, false);
        let (end, garbage) = loop {
            match scanner.next(window, device) {
                Item::Record { offset, header } => {
                    records += 1;
                    last = offset;
                    self.record(device, window, at(offset), &header)?;
                }
                Item::Damage { from, to, header } => {
                    self.is_cut_off = self.erases && next.is_none();
                    self.lost |= header.is_some_and(|header| {
                        header.kind() != Some(Kind::Checkpoint)
                            && self.is_news(device, window, from, &header)
                    });
                    let mut damage = Damage::new(DamageKind::Records, at(from), to);
                    damage.message = header.and_then(message_of);
                    self.damaged(damage)?;
                }
                Item::End { offset, garbage } => break (offset, garbage),
            }
        };
        state.end = end;
        // What should be there, as the next segment says.
        let to = garbage.max(known.unwrap_or(0));
        if to > end {
            self.damaged(Damage::new(DamageKind::Records, at(end), to))?;
        }
        if state.available < whole {
            let from = at(state.available.max(end));
            self.damaged(Damage::new(DamageKind::Cut, from, whole))?;
        } else if state.one_header && records > 0 {
            self.report.headers_damaged += 1;
        }
        // A segment that was begun, and nothing more, is begun again. On a device that erases, that may leave it without a
        // header, and a log that has no other one without an id: there it stays as it is.
        state.spare = records == 0 && garbage == end && next.is_none() && !device.erases();
        state.redundant = !self.news;
        // Records are written one after the other. But what is redundant may have been erased in part.
        if self.erases && (next.is_some() || self.news) {
            for damage in &mut self.damage[..self.damages] {
                damage.acknowledged |= (at(0)..at(last)).contains(&damage.from);
            }
        }
        Ok(state)
    }

    fn record<D: LogDevice>(
        &mut self,
        device: &mut D,
        window: &mut Window<'_>,
        at: Position,
        header: &RecordHeader,
    ) -> Result<(), RecoverError<D::Error>> {
        let body = at.offset + header.header_len(device.shape());
        if self.is_cut_off && header.kind() == Some(Kind::Checkpoint) {
            return Ok(());
        }
        // What is damaged, with a record behind it, was durable.
        self.news |= self.lost || self.is_news(device, window, at.offset, header);
        match header.kind() {
            Some(Kind::Send | Kind::Reloc | Kind::Close) => {
                let (slot, generation) = header.place();
                let mut live = Live::new(header.chan, header.seq, at, header.body_len);
                live = live.at_slot(slot, generation);
                live.attempts = header.attempts();
                if let Some(key) = header.key() {
                    // A channel for which there is no memory sends with keys again when there is some.
                    let _ = self.keys.remember(header.chan, key, header.seq);
                }
                let have = self.live.capacity();
                self.live.insert(live).map_err(|_| RecoverError::TooManyMessages { have })?;
                self.report.sends += u64::from(header.kind() == Some(Kind::Send));
                if header.seq != CLOSED {
                    self.checkpoint.max_seq = self.checkpoint.max_seq.max(header.seq);
                    let known = &mut self.checkpoint.max_generation;
                    *known = (*known).max(generation);
                }
            }
            Some(Kind::Ack) => {
                for skip in pairs(header) {
                    let Some(range) = window.array::<16, D>(device, body + skip) else { break };
                    let first = u64::from_le_bytes(field(&range, 0));
                    let last = u64::from_le_bytes(field(&range, 8));
                    self.live.remove_range(header.chan, first, last, |_| {});
                    if header.flags.has(Flags::CANCELLED) {
                        self.keys.forget(header.chan, first, last);
                    }
                }
                self.report.acks += 1;
            }
            Some(Kind::Checkpoint) => {
                if header.flags.has(Flags::SEALED) {
                    let begun = Position { offset: SEGMENT_HEADER as u32, ..at };
                    self.durable = self.durable.max(begun);
                }
                if let Some(found) = checkpoint(device, window, at.offset, header) {
                    let known = &mut self.checkpoint;
                    known.first = known.first.max(found.first);
                    known.max_seq = known.max_seq.max(found.max_seq);
                    known.max_generation = known.max_generation.max(found.max_generation);
                }
            }
            Some(Kind::Attempt) => {
                self.live.count(header.chan, header.seq, header.attempts());
            }
            Some(Kind::Keys) => {
                for skip in pairs(header) {
                    let Some(pair) = window.array::<PAIR, D>(device, body + skip) else { break };
                    self.keys.restore(header.chan, pair);
                }
            }
            Some(Kind::Batch) if header.body_len as usize == Span::LEN => {
                if let Some(bytes) = window.array(device, body) {
                    self.durable = self.durable.max(Span::decode(&bytes).from);
                }
            }
            Some(Kind::Scar) if header.body_len as usize == Span::LEN => {
                if let Some(bytes) = window.array(device, body) {
                    self.passed_over(Span::decode(&bytes));
                }
            }
            _ => self.report.unknown += 1,
        }
        self.report.clean = header.kind() == Some(Kind::Batch) && header.flags.has(Flags::CLEAN);
        Ok(())
    }

    /// Segments from `from` on, before `to`, are not there.
    pub(super) fn missing<E>(&mut self, from: u64, to: u64) -> Result<(), RecoverError<E>> {
        let Some(count) = to.checked_sub(from).filter(|&count| count > 0) else { return Ok(()) };
        let at = Position { segment: from, offset: 0 };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.damaged(Damage::new(DamageKind::Missing, at, count))
    }

    pub(super) fn damaged<E>(&mut self, damage: Damage) -> Result<(), RecoverError<E>> {
        let have = self.damage.len();
        if let (true, Some(last)) = (self.erases && self.damages == have, self.damage.last_mut()) {
            let records = [*last, damage].map(|damage| damage.kind == DamageKind::Records);
            if records == [true; 2] && last.from.segment == damage.from.segment {
                last.to = last.to.max(damage.to);
                return Ok(());
            }
        }
        let place =
            self.damage.get_mut(self.damages).ok_or(RecoverError::TooMuchDamage { have })?;
        *place = damage;
        self.damages += 1;
        Ok(())
    }

    fn passed_over(&mut self, scar: Span) {
        self.keep_damage(|damage| {
            damage.from.segment != scar.from.segment
                || damage.from.offset < scar.from.offset
                || damage.to > scar.to
        });
    }

    pub(super) fn keep_damage(&mut self, keep: impl Fn(&Damage) -> bool) {
        let mut kept = 0;
        for index in 0..self.damages {
            let damage = self.damage[index];
            if keep(&damage) {
                self.damage[kept] = damage;
                kept += 1;
            }
        }
        self.damages = kept;
    }

    /// R2 and R3, and what is left of the log.
    fn finish<E>(
        mut self,
        policy: OpenPolicy,
        slots: &'m mut [SlotState],
        mut segments: usize,
        log_id: Option<u128>,
    ) -> Result<Recovered<'m, L, K>, RecoverError<E>> {
        let first = self.checkpoint.first;
        if let Some(oldest) = slots[..segments].first() {
            self.missing(first, oldest.segment)?;
            // If that is passed over, it is once and for all.
            self.checkpoint.first = first.max(oldest.segment);
        }
        // Segments before the checkpoint's are done with, whatever is in them; of a gap, those.
        for damage in &mut self.damage[..self.damages] {
            let before = first.saturating_sub(damage.from.segment);
            if damage.kind == DamageKind::Missing && before < u64::from(damage.to) {
                damage.from.segment += before;
                damage.to -= before as u32;
            }
        }
        self.keep_damage(|damage| damage.from.segment == 0 || damage.from.segment >= first);
        self.live.retain(|live| live.at.segment >= first);

        let newest = segments.checked_sub(1).map(|index| slots[index]);
        let (next, previous_end) = match newest {
            None => (1, 0),
            Some(state) if state.spare => (state.segment, state.previous_end),
            Some(state) => (state.segment + 1, state.end),
        };
        for state in slots[..segments].iter_mut() {
            if state.spare || state.segment < first {
                let begun = state.segment == next;
                *state = SlotState { segment: 0, spare: true, begun, ..*state };
            }
        }
        slots.sort_unstable_by_key(|state| (state.segment == 0, state.segment, state.slot));
        segments = slots.iter().take_while(|state| state.segment != 0).count();

        let durable = self.durable;
        let damage = self.damage;
        let damage = &mut damage[..self.damages];
        let report = self.report;
        for damage in damage.iter_mut() {
            damage.acknowledged |= damage.kind != DamageKind::Records || damage.from < durable;
            if damage.kind == DamageKind::Records && !damage.acknowledged {
                report.torn_bytes += u64::from(damage.to - damage.from.offset);
            }
        }
        report.segments = segments as u32;
        report.pending = self.live.iter().filter(|live| !live.is_closing()).count() as u64;
        report.closed = self.live.len() as u64 - report.pending;
        report.damaged = damage.len() as u32;
        report.acked_damage = damage.iter().any(|damage| damage.acknowledged);
        let worst = damage.iter().find(|damage| damage.acknowledged).or(damage.first());
        report.first_damage = worst.copied();
        report.durable = durable;
        report.max_seq = self.checkpoint.max_seq;
        report.max_generation = self.checkpoint.max_generation;
        if let (OpenPolicy::Strict, true, Some(worst)) = (policy, report.acked_damage, worst) {
            return Err(RecoverError::Refused { damage: *worst });
        }
        Ok(Recovered {
            report,
            log_id,
            next,
            previous_end,
            checkpoint: self.checkpoint,
            slots,
            segments,
            damage,
            live: self.live,
            keys: self.keys,
        })
    }
}

/// Where, in a body, its pairs of `u64` begin.
pub(super) fn pairs(header: &RecordHeader) -> impl Iterator<Item = u32> + use<> {
    (0..header.body_len / PAIR as u32).map(|pair| pair * PAIR as u32)
}

/// Whose a damaged body was.
fn message_of(header: RecordHeader) -> Option<(u16, u64)> {
    let known = matches!(header.kind(), Some(Kind::Send | Kind::Reloc));
    known.then_some((header.chan, header.seq))
}
