//! Going on to the end although foreign code panics.

/// Calls `next` until it says that there is nothing left. If a call panics, for example because a value's
/// `Drop` does, the others are made while the panic unwinds.
pub(crate) fn to_the_end(next: impl FnMut() -> bool) {
    struct Rest<F: FnMut() -> bool>(F);

    impl<F: FnMut() -> bool> Drop for Rest<F> {
        fn drop(&mut self) {
            while (self.0)() {}
        }
    }

    let mut all = Rest(next);
    while (all.0)() {}
    // Nothing left: `next` is not called again.
    core::mem::forget(all);
}
