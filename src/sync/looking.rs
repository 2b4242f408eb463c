//! Looking at those who wait in a list, one after the other, each in a critical section of its own.
//!
//! Others come and go meanwhile. So whoever takes a token out of the list makes sure that nobody means to look at it next.
//!
//! Firmware has that noted down in the list, and in its channel the number of the latest who looks. On a host, where there may
//! be a million channels and next to nobody looks, those who do take one of a few *places*, the program's own, and the lists
//! have nothing.

#[cfg(not(feature = "std"))]
pub(crate) use in_list::{Look, LookedAt, Looks};
#[cfg(feature = "std")]
pub(crate) use in_places::{Look, LookedAt, Looks};

use super::wait::{Token, TokenList};

/// What a list knows of those who look.
pub(crate) trait Looking {
    const NONE: Self;
    /// `token`, the first, has been taken out of the list.
    fn pass_first<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>);
    /// `token` is about to be taken out of the list.
    fn pass<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>);
}

/// Nobody looks.
impl Looking for () {
    const NONE: Self = ();
    #[inline(always)]
    fn pass_first<const RANK: usize>(&mut self, _token: *const Token, _list: &TokenList<RANK>) {}
    #[inline(always)]
    fn pass<const RANK: usize>(&mut self, _token: *const Token, _list: &TokenList<RANK>) {}
}

#[cfg(not(feature = "std"))]
mod in_list {
    use core::ptr;

    use super::Looking;
    use crate::sync::wait::{Parked, Token, TokenList};

    /// Who is to be looked at next: it stands in the list, or is null.
    pub(crate) struct LookedAt(*const Token);

    // SAFETY: as for the list: a pointer to a token that is `Send + Sync`, followed under the owner's lock only.
    unsafe impl Send for LookedAt {}

    impl Looking for LookedAt {
        const NONE: Self = Self(ptr::null());

        #[inline]
        fn pass_first<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>) {
            if self.0 == token {
                // On behind it.
                self.0 = list.first().unwrap_or(ptr::null());
            }
        }

        #[inline]
        fn pass<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>) {
            if self.0 == token {
                self.look_past(token, list);
            }
        }
    }

    impl LookedAt {
        /// Whoever looks at one after the other goes on behind `token`, which stands in the list.
        #[cold]
        #[inline(never)]
        fn look_past<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>) {
            self.0 = list.after(token).unwrap_or(ptr::null());
        }

        /// The next one, in the order of arrival; it stands in the list.
        pub(crate) fn next(&mut self, _look: &Look, list: &TokenList) -> Option<*const Token> {
            let token = self.0;
            if token.is_null() {
                return None;
            }
            self.look_past(token, list);
            Some(token)
        }
    }

    /// The number of the latest who looked.
    pub(crate) struct Looks(u32);

    /// Somebody who looks: its number.
    pub(crate) struct Look(u32);

    impl Looks {
        pub(crate) const NONE: Self = Self(0);

        /// Begins to look at one after the other. Who has begun before is not to go on.
        pub(crate) fn begin(&mut self, list: &mut Parked) -> Look {
            self.0 = self.0.wrapping_add(1);
            list.looked_at().0 = list.first().unwrap_or(ptr::null());
            Look(self.0)
        }

        /// Whether nobody else has begun since.
        pub(crate) fn is_latest(&self, look: &Look) -> bool {
            self.0 == look.0
        }
    }
}

#[cfg(feature = "std")]
mod in_places {
    use core::ptr;
    // Not a model checker's: whoever looks, and whoever takes a token out, has the lock of the list's owner.
    use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    use super::Looking;
    use crate::sync::wait::{Parked, Token, TokenList};

    /// How many may look at a time.
    const PLACES: usize = 16;
    /// At whose list this one looks: at none, or somebody else has begun since. (No list lies at these addresses.)
    const FREE: usize = 0;
    const OUTDATED: usize = 1;

    struct Place {
        /// The list's address. Taken from `FREE` by whoever looks, who gives it back; all other changes are made under the lock of
        /// the list's owner.
        list: AtomicUsize,
        /// Who is to be looked at next: it stands in that list, or is null. Of a free place it means nothing.
        next: AtomicPtr<Token>,
    }

    /// In lines of their own: who takes a token out reads how many are taken, which hardly ever changes.
    #[repr(align(128))]
    struct Places {
        taken: AtomicUsize,
        all: [Place; PLACES],
    }

    static PLACES_OF_ALL: Places = Places {
        taken: AtomicUsize::new(0),
        all: [const { Place { list: AtomicUsize::new(FREE), next: AtomicPtr::new(ptr::null_mut()) } };
            PLACES],
    };

    /// What a list knows: nothing.
    pub(crate) struct LookedAt;

    impl Looking for LookedAt {
        const NONE: Self = Self;

        #[inline]
        fn pass_first<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>) {
            if somebody_looks() {
                look_past(token, list.first());
            }
        }

        #[inline]
        fn pass<const RANK: usize>(&mut self, token: *const Token, list: &TokenList<RANK>) {
            if somebody_looks() {
                look_past(token, list.after(token));
            }
        }
    }

    impl LookedAt {
        /// The next one, in the order of arrival; it stands in the list. `look` is the latest.
        pub(crate) fn next(&mut self, look: &Look, list: &TokenList) -> Option<*const Token> {
            let place = look.place?;
            // Relaxed, both: under the lock of the list's owner, as is every change of it.
            let token = place.next.load(Ordering::Relaxed).cast_const();
            if token.is_null() {
                return None;
            }
            place.next.store(next(list.after(token)), Ordering::Relaxed);
            Some(token)
        }
    }

    /// Whether anybody does, in any list. Who looks into this one has begun under the lock that the caller holds, so that is seen.
    #[inline]
    fn somebody_looks() -> bool {
        // Relaxed: the lock has ordered it.
        PLACES_OF_ALL.taken.load(Ordering::Relaxed) != 0
    }

    /// Whoever means to look at `token`, which is or was in a list whose lock is held, goes on at the one `after` it.
    #[cold]
    #[inline(never)]
    fn look_past(token: *const Token, after: Option<*const Token>) {
        for place in &PLACES_OF_ALL.all {
            // Only in a place of this list, or a free one, is it this token. Others may take a free one meanwhile: then it is not any
            // more, and this fails. Relaxed: as in `next`.
            let _ = place.next.compare_exchange(
                token.cast_mut(),
                next(after),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    fn next(after: Option<*const Token>) -> *mut Token {
        after.unwrap_or(ptr::null()).cast_mut()
    }

    /// What a channel knows of those who look: nothing.
    pub(crate) struct Looks;

    /// Somebody who looks, from its place, if there was one.
    pub(crate) struct Look {
        place: Option<&'static Place>,
    }

    impl Looks {
        pub(crate) const NONE: Self = Self;

        /// Begins to look at one after the other. Who has begun before is not to go on, nor is this one, if there is no place.
        /// Under the lock of the list's owner.
        pub(crate) fn begin(&mut self, list: &mut Parked) -> Look {
            let mine = ptr::from_ref(&*list).addr();
            for place in &PLACES_OF_ALL.all {
                // Relaxed: it is told nothing else. Who gives its place back meanwhile is outdated anyway.
                let _ = place.list.compare_exchange(
                    mine,
                    OUTDATED,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
            }
            let place = PLACES_OF_ALL.all.iter().find(|place| {
                // Acquire pairs with the Release in `drop`: who had the place is done with it.
                let taken =
                    place.list.compare_exchange(FREE, mine, Ordering::Acquire, Ordering::Relaxed);
                taken.is_ok()
            });
            if let Some(place) = place {
                // Relaxed, both: as in `somebody_looks` and `next`.
                PLACES_OF_ALL.taken.fetch_add(1, Ordering::Relaxed);
                place.next.store(next(list.first()), Ordering::Relaxed);
            }
            Look { place }
        }

        /// Whether it has a place, and nobody else has begun since.
        pub(crate) fn is_latest(&self, look: &Look) -> bool {
            // Relaxed: changed under the lock that is held.
            look.place.is_some_and(|place| place.list.load(Ordering::Relaxed) != OUTDATED)
        }
    }

    impl Drop for Look {
        fn drop(&mut self) {
            if let Some(place) = self.place {
                PLACES_OF_ALL.taken.fetch_sub(1, Ordering::Relaxed);
                // Release: see `begin`.
                place.list.store(FREE, Ordering::Release);
            }
        }
    }
}
