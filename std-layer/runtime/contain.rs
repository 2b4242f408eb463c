//! Foreign code whose panics end here.

use std::any::Any;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What somebody has panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

/// Runs `body`. `None` if it panics, which is all that is said of it.
///
/// Whatever it has broken nobody may look at any more.
pub(super) fn contain<R>(body: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(body)).map_err(discard).ok()
}

/// Drops what somebody has panicked with. If its destructor panics, too, what that has panicked with stays in memory, as
/// there may be no end to it.
pub(super) fn discard(panic: Panic) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
    }
}
