//! What a recovery says, and why it refuses.

use core::fmt;

use super::record::Position;

/// What to do about damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenPolicy {
    /// If anything is damaged that had been durable, the log is not opened, and nothing is changed. A torn end is no damage:
    /// it was never acknowledged.
    #[default]
    Strict,
    /// What is damaged is passed over, and named in the report; everything else is recovered.
    Salvage,
    /// As [`Salvage`](Self::Salvage), and nothing is written: for a log on a full or read-only file system. Messages can
    /// be read, acknowledgements are forgotten at the end.
    Drain,
}

/// What sort of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DamageKind {
    /// Bytes that should be records, or a record whose body is not what was written.
    #[default]
    Records,
    /// The segment is shorter than it was made.
    Cut,
    /// Segments that should be there are not: `from` is the first, `to` is how many.
    Missing,
    /// Both headers of a slot are unreadable: what is in it is not known. The segment is 0, the offset the slot.
    Header,
}

/// A piece of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Damage {
    /// What it is.
    pub kind: DamageKind,
    /// Where it begins.
    pub from: Position,
    /// The first offset behind it; of what is missing, how many segments.
    pub to: u32,
    /// Channel and number of the message that is lost, if the record's header still says so.
    pub message: Option<(u16, u64)>,
    /// Whether it had been durable. If not, it is a torn end.
    pub acknowledged: bool,
}

impl Damage {
    #[cfg(feature = "flash")]
    pub(super) const NONE: Self =
        Self::new(DamageKind::Records, Position { segment: 0, offset: 0 }, 0);

    pub(super) const fn new(kind: DamageKind, from: Position, to: u32) -> Self {
        Self { kind, from, to, message: None, acknowledged: false }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { segment, offset } = self.from;
        match self.kind {
            DamageKind::Records => {
                write!(f, "segment {segment}, bytes {offset} to {}", self.to)?;
                f.write_str(if self.acknowledged { ", damaged" } else { ", torn" })?;
            }
            DamageKind::Cut => write!(f, "segment {segment}, cut off at byte {offset}")?,
            DamageKind::Missing if self.to == 1 => write!(f, "segment {segment}, missing")?,
            DamageKind::Missing => write!(f, "{} segments from {segment} on, missing", self.to)?,
            DamageKind::Header => write!(f, "slot {offset}, without a header that can be read")?,
        }
        match self.message {
            Some((chan, seq)) => write!(f, ": message {seq} of channel {chan}"),
            None => Ok(()),
        }
    }
}

/// A recovery in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Segments of the log.
    pub segments: u32,
    /// Records of sent messages that were read.
    pub sends: u64,
    /// Records of acknowledgements that were read.
    pub acks: u64,
    /// Messages that live. Each may have been delivered before.
    pub pending: u64,
    /// Channels that are closed.
    pub closed: u64,
    /// Bytes of torn ends.
    pub torn_bytes: u64,
    /// Pieces of damage, torn ends included, but none that was passed over by a recovery before.
    pub damaged: u32,
    /// Segments one of whose two headers is damaged. Nothing is lost by that.
    pub headers_damaged: u32,
    /// Whether something is damaged that had been durable.
    pub acked_damage: bool,
    /// The first of that; otherwise the first torn end.
    pub first_damage: Option<Damage>,
    /// Records of kinds that only later versions know.
    pub unknown: u64,
    /// Up to where the log says that it was durable.
    pub durable: Position,
    /// The highest number a message had in any channel. New ones begin behind it.
    pub max_seq: u64,
    /// The highest generation of an arena's slot.
    pub max_generation: u32,
    /// Whether the log was closed in order.
    pub clean: bool,
}

#[cfg(feature = "flash")]
impl RecoveryReport {
    pub(super) const NONE: Self = Self {
        segments: 0,
        sends: 0,
        acks: 0,
        pending: 0,
        closed: 0,
        torn_bytes: 0,
        damaged: 0,
        headers_damaged: 0,
        acked_damage: false,
        first_damage: None,
        unknown: 0,
        durable: Position { segment: 0, offset: 0 },
        max_seq: 0,
        max_generation: 0,
        clean: false,
    };
}

/// Why a log is not recovered.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum RecoverError<E> {
    /// The device cannot even say how long its slots are.
    Device(E),
    /// Something is damaged that had been durable, and the policy is strict.
    Refused {
        /// The first of it. The report has all of it, in numbers.
        damage: Damage,
    },
    /// It is of a later format, and was left as it is.
    NewerFormat {
        /// Its major version.
        major: u8,
        /// Its incompatible extensions.
        incompatible: u16,
    },
    /// It was made for another set-up.
    Geometry {
        /// Which.
        geometry: u32,
        /// With segments of that length.
        segment_bytes: u64,
    },
    /// A slot holds a segment of another log, one that is in another slot, too, or one whose number no log comes to.
    Foreign {
        /// Which slot.
        slot: u32,
    },
    /// The window is shorter than [`MIN_WINDOW`](super::MIN_WINDOW).
    WindowTooSmall,
    /// There are more slots than states for them.
    TooManySlots {
        /// How many states there are.
        have: usize,
    },
    /// More messages live, at some point of the log, than the index has room for.
    TooManyMessages {
        /// For how many it has.
        have: usize,
    },
    /// There is more damage than can be noted down.
    TooMuchDamage {
        /// How much can be.
        have: usize,
    },
}

impl<E: fmt::Display> fmt::Display for RecoverError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => write!(f, "the device failed: {error}"),
            Self::Refused { damage } => write!(f, "acknowledged data is damaged: {damage}"),
            Self::NewerFormat { major, incompatible } => {
                write!(f, "the log is of format {major}, with extensions {incompatible:#x}")
            }
            Self::Geometry { geometry, segment_bytes } => write!(
                f,
                "the log is of another geometry: {geometry:#x}, segments of {segment_bytes} bytes"
            ),
            Self::Foreign { slot } => write!(f, "slot {slot} holds a segment that does not belong"),
            Self::WindowTooSmall => f.write_str("the window is too short for a header"),
            Self::TooManySlots { have } => write!(f, "more than {have} slots"),
            Self::TooManyMessages { have } => write!(f, "more than {have} messages live"),
            Self::TooMuchDamage { have } => write!(f, "more than {have} pieces of damage"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RecoverError<E> {}
