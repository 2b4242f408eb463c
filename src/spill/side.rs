//! The select that an operation is an arm of, where no queue's token stands for it.

use core::cell::Cell;
use core::ptr;

use crate::sync::claim::{Claim, claim_own};

/// A select's claim, or null, and the arm's number.
pub(super) struct Side(Cell<*const Claim>, Cell<u16>);

// SAFETY: the claim is an atomic in the select.
unsafe impl Send for Side {}

impl Side {
    /// Of no select.
    pub(super) fn none() -> Self {
        Self(Cell::new(ptr::null()), Cell::new(0))
    }

    /// Makes it an arm.
    ///
    /// # Safety
    /// As for [`Arm::join`](crate::select::Arm::join): the claim stays alive until [`leave`](Self::leave), or until this is gone.
    pub(super) unsafe fn join(&self, claim: *const Claim, arm: u16) {
        self.0.set(claim);
        self.1.set(arm);
    }

    pub(super) fn leave(&self) {
        self.0.set(ptr::null());
    }

    /// Whether the operation may go ahead: it is no arm, or the one that is claimed, now if not before.
    pub(super) fn wins(&self) -> bool {
        // SAFETY: null, or the claim of the select that this is an arm of until `leave`.
        let side = unsafe { self.0.get().as_ref() }.map(|claim| (claim, self.1.get()));
        // A select that only looks has claimed it before.
        claim_own(side) || side.is_some_and(|(claim, arm)| claim.winner() == Some(arm))
    }
}
