//! What a report says of one payload: its state, and where it waits.

use serde::{Deserialize, Serialize};

use super::name::Name;
use crate::arena::{PayloadState, TicketDump};
use crate::channel::Waiting;

/// A payload in an arena.
///
/// An arena does not know what becomes of its tickets, so whoever makes a dump looks for them in the channels
/// ([`Channel::waiting`](crate::channel::Channel::waiting)), and says here what was found.
///
/// ```
/// use cloakroom::channel::{Buffered, Bytes};
/// use cloakroom::report::{TicketRecord, TicketState};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
/// FRAMES.try_send_bytes(ARENA.handle(), b"ecg")?;
///
/// let arena = ARENA.handle();
/// for payload in arena.dump() {
///     let mut record = TicketRecord::new("memory", payload);
///     let mut walk = FRAMES.channel().waiting();
///     if let Some(waiting) = walk.find(|waiting| waiting.is(arena, &payload)) {
///         record = record.waiting_in("frames", &waiting, walk.is_forlorn());
///     }
///     assert_eq!(record.state, TicketState::Ready);
///     assert_eq!(record.place.map(|place| (place.channel.len(), place.position)), Some((6, 0)));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TicketRecord {
    /// The arena's name.
    pub arena: Name,
    /// The payload.
    pub dump: TicketDump,
    /// What is to be expected of it.
    pub state: TicketState,
    /// Where it waits, if it was found in a channel.
    pub place: Option<Place>,
}

/// What is to be expected of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TicketState {
    /// At rest, in a channel: it will be received.
    Ready,
    /// In hand.
    Active,
    /// At rest, in no channel that was looked at: somebody has its number.
    Dehydrated,
    /// At rest, and kept up: its sender waits, or it is being moved.
    Suspended,
    /// At rest, and perhaps for ever: in no channel for as long as is said of the dump, or in one that is closed and
    /// that nobody waits to receive from.
    Orphan,
}

/// Where a payload waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Place {
    /// The channel's name.
    pub channel: Name,
    /// With a sender that waits, and not in the channel itself.
    pub parked: bool,
    /// How many were before it; see [`Waiting::position`].
    pub position: u32,
}

/// Payloads that are [orphans](TicketState::Orphan).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Orphans {
    /// How many.
    pub payloads: u32,
    /// Their lengths, together.
    pub bytes: u64,
    /// The pages that they take.
    pub pages: u64,
    /// Ticks since the oldest was allocated.
    pub oldest_age: Option<u32>,
}

impl TicketRecord {
    /// Of a payload that was looked for in no channel, or found in none.
    pub fn new(arena: &str, dump: TicketDump) -> Self {
        let state = match dump.state {
            PayloadState::InHand | PayloadState::Shared => TicketState::Active,
            PayloadState::Moving => TicketState::Suspended,
            PayloadState::AtRest => TicketState::Dehydrated,
        };
        Self { arena: Name::new(arena), dump, state, place: None }
    }

    /// The same, found in this channel. `forlorn` if that [is](crate::channel::Walk::is_forlorn).
    pub fn waiting_in(self, channel: &str, waiting: &Waiting, forlorn: bool) -> Self {
        let state = match self.state {
            TicketState::Dehydrated if waiting.parked => TicketState::Suspended,
            TicketState::Dehydrated if forlorn => TicketState::Orphan,
            TicketState::Dehydrated => TicketState::Ready,
            held => held,
        };
        // More than can be counted: far behind.
        let position = u32::try_from(waiting.position).unwrap_or(u32::MAX);
        let place = Place { channel: Name::new(channel), parked: waiting.parked, position };
        Self { state, place: Some(place), ..self }
    }

    /// The same; an orphan if it was found in no channel, is at rest, and was allocated `age` ticks ago or before. For
    /// one that was looked for in every channel that it may be in.
    pub fn orphaned_at(self, age: u32) -> Self {
        let orphaned = self.state == TicketState::Dehydrated && self.is_at_large(age);
        Self { state: if orphaned { TicketState::Orphan } else { self.state }, ..self }
    }

    /// Whether it is at rest, was found in no channel, and was allocated `age` ticks ago or before.
    pub fn is_at_large(&self, age: u32) -> bool {
        let rests = self.dump.in_hand == 0 && self.dump.at_rest > 0;
        rests && self.place.is_none() && self.dump.age.is_some_and(|own| own >= age)
    }
}

impl Orphans {
    /// These, and a payload (or a later run of one) if it is an orphan, too.
    pub fn with(self, record: &TicketRecord) -> Self {
        if record.state != TicketState::Orphan {
            return self;
        }
        Self {
            payloads: self.payloads.saturating_add(u32::from(!record.dump.part)),
            bytes: self.bytes.saturating_add(record.dump.len as u64),
            pages: self.pages.saturating_add(record.dump.pages as u64),
            oldest_age: self.oldest_age.max(record.dump.age),
        }
    }
}
