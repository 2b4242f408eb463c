//! Which payloads wait in which channels, as far as can be seen while traffic goes on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use crate::arena::{ArenaRef, TicketDump};
use crate::channel::{Channel, Strategy, Waiting};
use crate::report::{Name, TicketRecord};
use crate::sync::RawMutex;

/// What a walk through each of some channels has seen.
pub(super) struct Sightings {
    /// By ticket. Tickets of different arenas may be the same.
    seen: HashMap<u64, Vec<Sighting>>,
    /// Every walk has seen all that there was.
    pub(super) whole: bool,
}

struct Sighting {
    channel: Name,
    waiting: Waiting,
    forlorn: bool,
}

/// One walk at a time, as a second one through the same channel would end the first: the channel may be registered
/// twice.
static WALKING: Mutex<()> = Mutex::new(());

impl Sightings {
    pub(super) fn none() -> Self {
        Self { seen: HashMap::new(), whole: true }
    }

    /// Walks through a channel.
    pub(super) fn look_into<M, T, S>(&mut self, name: Name, channel: &Channel<M, T, S>)
    where
        M: RawMutex + 'static,
        T: 'static,
        S: Strategy<T>,
    {
        let walking = WALKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut walk = channel.waiting();
        let found: Vec<Waiting> = walk.by_ref().collect();
        drop(walking);
        let forlorn = walk.is_forlorn();
        self.whole &= walk.is_whole();
        for waiting in found {
            let sighting = Sighting { channel: name, waiting, forlorn };
            self.seen.entry(waiting.ticket.to_bits()).or_default().push(sighting);
        }
    }

    fn find<M: RawMutex>(&self, arena: ArenaRef<'_, M>, payload: &TicketDump) -> Option<&Sighting> {
        let seen = self.seen.get(&payload.ticket.to_bits())?;
        seen.iter().find(|sighting| sighting.waiting.is(arena, payload))
    }

    /// Whether it was seen.
    pub(super) fn include<M: RawMutex>(
        &self,
        arena: ArenaRef<'_, M>,
        payload: &TicketDump,
    ) -> bool {
        self.find(arena, payload).is_some()
    }

    /// The record of a payload, with where it was seen.
    pub(super) fn place<M: RawMutex>(
        &self,
        arena: ArenaRef<'_, M>,
        record: TicketRecord,
    ) -> TicketRecord {
        match self.find(arena, &record.dump) {
            Some(Sighting { channel, waiting, forlorn }) => {
                record.waiting_in(channel, waiting, *forlorn)
            }
            None => record,
        }
    }
}
