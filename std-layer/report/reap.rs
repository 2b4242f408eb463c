//! Freeing payloads that nobody is going to redeem.

use std::thread;
use std::time::Duration;
use std::vec::Vec;

use super::registry::Registry;
use super::sightings::Sightings;
use crate::arena::{ArenaRef, PayloadState, TicketDump};
use crate::error::RedeemError;
use crate::report::Outcome;
use crate::sync::RawMutex;

/// From one look at the channels to the next. Whoever has just taken a payload out of one, and is about to take it in
/// hand or to send it on, has done so by then, or is not coming back soon.
const PAUSE: Duration = Duration::from_millis(50);
/// How often is looked again before a channel that does not show everything is given up.
const PATIENCE: usize = 20;
/// And the pause between these.
const MOMENT: Duration = Duration::from_millis(2);

/// Frees what was allocated `age` ticks ago or before, is at rest, and is seen in no channel: neither now nor after a
/// pause, when the channels are looked through in the opposite order, so that what goes on from one to another is not
/// passed by both ways.
pub(super) fn reap<M: RawMutex>(registry: &Registry, arena: ArenaRef<'_, M>, age: u32) -> Outcome {
    if !cfg!(feature = "stamps") {
        return Outcome::Unsuited;
    }
    let Some(first) = look(registry, false) else { return Outcome::Busy };
    let at_large = |payload: &TicketDump| {
        let rests = payload.state == PayloadState::AtRest && !payload.part;
        rests && payload.age.is_some_and(|own| own >= age) && !first.include(arena, payload)
    };
    let candidates: Vec<TicketDump> = arena.dump().filter(at_large).collect();
    let (mut payloads, mut bytes) = (0, 0);
    if !candidates.is_empty() {
        thread::sleep(PAUSE);
        let Some(second) = look(registry, true) else { return Outcome::Busy };
        for payload in candidates.iter().filter(|payload| !second.include(arena, payload)) {
            if let Some(len) = free(arena, payload) {
                (payloads, bytes) = (payloads + 1, bytes + len as u64);
            }
        }
    }
    Outcome::Reaped { payloads, bytes }
}

/// All that waits in channels; `None` if some channel would not show it.
fn look(registry: &Registry, backwards: bool) -> Option<Sightings> {
    for _ in 0..PATIENCE {
        let sightings = registry.sightings(backwards);
        if sightings.whole {
            return Some(sightings);
        }
        thread::sleep(MOMENT);
    }
    None
}

/// Redeems and drops each of a payload's tickets. How long it was, if none of them had been redeemed by somebody else.
fn free<M: RawMutex>(arena: ArenaRef<'_, M>, payload: &TicketDump) -> Option<usize> {
    let mut len = None;
    for _ in 0..payload.at_rest {
        len = Some(match arena.redeem(payload.ticket) {
            Ok(lease) => lease.len(),
            Err(RedeemError::Layout) => arena.redeem_scattered(payload.ticket).ok()?.len(),
            // It is freed all the same.
            Err(RedeemError::Damaged) => payload.len,
            Err(_) => return None,
        });
    }
    len
}
