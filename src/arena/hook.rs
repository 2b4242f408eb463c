//! Functions that whoever makes them necessary leaves in the arena's header.
//!
//! A payload is freed in every program, but only in some does anybody wait for memory, has a home, or moves payloads.
//! What is to be done for those is reached through a pointer that they leave behind, under the arena's lock,
//! so a program that has none of them is spared the code: a quarter of what an arena takes of flash.

use core::ptr::NonNull;

use super::layout::ArenaRef;
use super::map::Map;
use crate::sync::RawMutex;

/// Takes the header, whatever its lock.
#[derive(Clone, Copy)]
pub(super) struct Hook(unsafe fn(NonNull<()>));

/// Takes the header and what its lock guards, and pages that have come back to a home.
#[derive(Clone, Copy)]
pub(super) struct CreditHook(unsafe fn(NonNull<()>, &mut Map, u8, usize));

impl<M: RawMutex> ArenaRef<'_, M> {
    /// Left by those who wait for memory: [`unstall_and_kick`](Self::unstall_and_kick).
    pub(super) const KICK: Hook = Hook(|header| {
        // SAFETY: `run` hands over the header of an arena under this lock, which was attached when this was left there.
        unsafe { ArenaRef::<M>::unattached(header.cast()) }.unstall_and_kick();
    });

    /// Left by who begins to move a payload: [`finish_move`](Self::finish_move).
    pub(super) const FINISH_MOVE: Hook = Hook(|header| {
        // SAFETY: as above.
        unsafe { ArenaRef::<M>::unattached(header.cast()) }.finish_move();
    });

    /// Left by who opens a home: [`credit_home`](Self::credit_home).
    pub(super) const CREDIT: CreditHook = CreditHook(|header, map, id, pages| {
        // SAFETY: as above.
        unsafe { ArenaRef::<M>::unattached(header.cast()) }.credit_home(map, id, pages);
    });

    /// Runs what was left in this arena's header, outside the lock.
    pub(super) fn run(self, hook: impl FnOnce(&Map) -> Option<Hook>) {
        if let Some(hook) = self.core().map.with(|map| hook(map)) {
            // SAFETY: hooks are left in headers by arenas of the header's own lock.
            unsafe { (hook.0)(self.header()) }
        }
    }

    /// Gives pages back to a home, under the lock.
    pub(super) fn credit(self, map: &mut Map, id: u8, pages: usize) {
        if let Some(hook) = map.credit {
            // SAFETY: as above.
            unsafe { (hook.0)(self.header(), map, id, pages) }
        }
    }
}
