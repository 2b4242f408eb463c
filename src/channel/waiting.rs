//! Those who wait in a channel: senders, receivers, and those who wait for it to be closed.
//!
//! Where there may be a million channels in which nobody waits, the three lists are a [chain](TokenList), in this order, and what
//! stands behind the last of all is a number: how many have left without an outcome. So all of that is one word. Elsewhere each is
//! apart, which takes fewer instructions.

#[cfg(not(all(feature = "std", target_pointer_width = "64")))]
pub(super) use apart::{Abandoned, Flags, Waiting};
#[cfg(all(feature = "std", target_pointer_width = "64"))]
pub(super) use in_chain::{Abandoned, Flags, Waiting};

use crate::sync::wait::{Parked, TokenList, Unlooked};

#[cfg(not(all(feature = "std", target_pointer_width = "64")))]
mod apart {
    use super::{Closers, Parked, Unlooked};
    use crate::channel::snapshot::count;

    /// How many have left without an outcome.
    #[derive(Clone, Copy)]
    pub(in crate::channel) struct Abandoned(u32);

    impl Abandoned {
        pub(in crate::channel) const NONE: Self = Self(0);

        #[inline(always)]
        pub(in crate::channel) fn get(self, _waiting: &Waiting) -> u32 {
            self.0
        }

        /// One more has.
        #[inline(always)]
        pub(in crate::channel) fn count(&mut self, _waiting: &mut Waiting) {
            count(&mut self.0);
        }
    }

    /// What is known of a channel besides.
    pub(in crate::channel) struct Flags {
        /// Whether anybody may wait to send or to receive: set when somebody joins, and taken back by who finds that nobody is
        /// left. So the common cases look at one byte.
        crowded: bool,
        closed: bool,
        deserted: bool,
    }

    impl Flags {
        pub(in crate::channel) const NONE: Self =
            Self { crowded: false, closed: false, deserted: false };
        /// Whether the last two are seen in the number of promised slots instead.
        pub(in crate::channel) const IN_SLOTS: bool = false;

        #[inline(always)]
        pub(in crate::channel) fn is_crowded(&self, _waiting: &Waiting) -> bool {
            self.crowded
        }

        #[inline(always)]
        pub(in crate::channel) fn note_crowd(&mut self, crowded: bool) {
            self.crowded = crowded;
        }

        #[inline(always)]
        pub(in crate::channel) fn is_closed(&self, _promised_slots: u32) -> bool {
            self.closed
        }

        #[inline(always)]
        pub(in crate::channel) fn is_deserted(&self, _promised_slots: u32) -> bool {
            self.deserted
        }

        pub(in crate::channel) fn close(&mut self) {
            self.closed = true;
        }

        pub(in crate::channel) fn desert(&mut self) {
            self.deserted = true;
        }
    }

    /// Everybody who waits.
    pub(in crate::channel) struct Waiting {
        pub(in crate::channel) senders: Parked,
        receivers: Unlooked,
        closers: Closers,
    }

    impl Waiting {
        /// Nobody.
        pub(in crate::channel) const NOBODY: Self =
            Self { senders: Parked::new(), receivers: Unlooked::new(), closers: Closers::new() };

        #[inline(always)]
        pub(in crate::channel) fn receivers(&self) -> &Unlooked {
            &self.receivers
        }

        #[inline(always)]
        pub(in crate::channel) fn receivers_mut(&mut self) -> &mut Unlooked {
            &mut self.receivers
        }

        /// Those who wait for the channel to be closed.
        #[inline(always)]
        pub(in crate::channel) fn closers(&self) -> &Closers {
            &self.closers
        }

        /// The same.
        #[inline(always)]
        pub(in crate::channel) fn closers_mut(&mut self) -> &mut Closers {
            &mut self.closers
        }

        /// Whether nobody waits to send or to receive.
        #[inline(always)]
        pub(in crate::channel) fn is_quiet(&self) -> bool {
            self.senders.is_empty() && self.receivers.is_empty()
        }
    }
}

#[cfg(all(feature = "std", target_pointer_width = "64"))]
mod in_chain {
    use core::ptr;

    use super::{Closers, Parked, Unlooked};
    use crate::channel::state::{CLOSED, DESERTED};
    use crate::sync::wait::{END_RANK, Token};

    /// What is known of a channel besides: nothing. Whether anybody waits to send or to receive is seen in one word, and the rest
    /// in the number of promised slots.
    pub(in crate::channel) struct Flags;

    impl Flags {
        pub(in crate::channel) const NONE: Self = Self;
        pub(in crate::channel) const IN_SLOTS: bool = true;

        #[inline(always)]
        pub(in crate::channel) fn is_crowded(&self, waiting: &Waiting) -> bool {
            !waiting.is_quiet()
        }

        #[inline(always)]
        pub(in crate::channel) fn note_crowd(&mut self, _crowded: bool) {}

        #[inline(always)]
        pub(in crate::channel) fn is_closed(&self, promised_slots: u32) -> bool {
            promised_slots & CLOSED != 0
        }

        #[inline(always)]
        pub(in crate::channel) fn is_deserted(&self, promised_slots: u32) -> bool {
            promised_slots & DESERTED != 0
        }

        pub(in crate::channel) fn close(&mut self) {}

        pub(in crate::channel) fn desert(&mut self) {}
    }

    /// Everybody who waits.
    #[repr(C)]
    pub(in crate::channel) struct Waiting {
        /// The first list of the chain.
        pub(in crate::channel) senders: Parked,
    }

    // So each may be seen where it begins: in a pointer.
    const _: () = assert!(size_of::<Unlooked>() == size_of::<*const Token>());
    const _: () = assert!(size_of::<Closers>() == size_of::<*const Token>());

    /// How many have left without an outcome: nothing, as that stands behind the last of all who wait.
    #[derive(Clone, Copy)]
    pub(in crate::channel) struct Abandoned;

    /// The number takes the bits above those of a rank.
    const ONE: usize = END_RANK + 1;

    impl Abandoned {
        pub(in crate::channel) const NONE: Self = Self;

        pub(in crate::channel) fn get(self, waiting: &Waiting) -> u32 {
            // SAFETY: written when the one before it became the last, or the chain is empty. (A list may lie at a multiple of 4.)
            let end = unsafe { waiting.closers().behind().read_unaligned() };
            // Lossless: see below.
            (end.addr() / ONE) as u32
        }

        /// One more has.
        pub(in crate::channel) fn count(&mut self, waiting: &mut Waiting) {
            let next = self.get(waiting).wrapping_add(1);
            // Lossless: addresses have 64 bits.
            let end = ptr::without_provenance(next as usize * ONE + END_RANK);
            // SAFETY: as in `get`.
            unsafe { waiting.closers_mut().behind_mut().write_unaligned(end) };
        }
    }

    impl Waiting {
        /// Nobody.
        pub(in crate::channel) const NOBODY: Self = Self { senders: Parked::new() };

        #[inline(always)]
        pub(in crate::channel) fn receivers(&self) -> &Unlooked {
            // SAFETY: there the next list of the chain begins, and a list is no more than a pointer, at a multiple of 4. It is in this
            // channel or in a sender that waits, which needs the lock to go away.
            unsafe { &*self.senders.behind().cast() }
        }

        #[inline(always)]
        pub(in crate::channel) fn receivers_mut(&mut self) -> &mut Unlooked {
            // SAFETY: as above. Nobody else reaches that pointer meanwhile: all that do come this way.
            unsafe { &mut *self.senders.behind_mut().cast() }
        }

        /// Those who wait for the channel to be closed.
        #[inline(always)]
        pub(in crate::channel) fn closers(&self) -> &Closers {
            // SAFETY: as in `receivers`, behind those.
            unsafe { &*self.receivers().behind().cast() }
        }

        /// The same.
        #[inline(always)]
        pub(in crate::channel) fn closers_mut(&mut self) -> &mut Closers {
            // SAFETY: as in `receivers_mut`, behind those.
            unsafe { &mut *self.receivers_mut().behind_mut().cast() }
        }

        /// Whether nobody waits to send or to receive.
        #[inline(always)]
        pub(in crate::channel) fn is_quiet(&self) -> bool {
            // SAFETY: a list, as above; and as one of receivers it is not empty, either, when there are senders in it.
            unsafe { (*ptr::from_ref(self).cast::<Unlooked>()).is_empty() }
        }
    }
}

/// The list of those who wait for the channel to be closed.
pub(super) type Closers = TokenList<CLOSERS_RANK>;

const CLOSERS_RANK: usize = if cfg!(feature = "std") { 2 } else { 0 };

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;
    use std::vec::Vec;

    use super::{Abandoned, Waiting};
    use crate::sync::wait::{Token, TokenList};

    fn addresses<const RANK: usize>(list: &TokenList<RANK>) -> Vec<*const Token> {
        std::iter::successors(list.first(), |token| list.after(*token)).collect()
    }

    /// Some numbers that look random.
    fn numbers() -> impl Iterator<Item = usize> {
        let step = |seed: &u64| Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        std::iter::successors(Some(1_u64), step).map(|seed| (seed >> 33) as usize)
    }

    #[test]
    fn three_lists_and_a_number_keep_to_themselves() {
        let mut waiting = Waiting::NOBODY;
        let (mut abandoned, mut expected_abandoned) = (Abandoned::NONE, 0);
        let mut lists: [Vec<Box<Token>>; 3] = Default::default();
        let mut numbers = numbers();
        let mut next = || numbers.next().unwrap();
        let rounds = if cfg!(miri) { 500 } else { 20_000 };
        for round in 0..rounds {
            let at = next() % 3;
            let list = &mut lists[at];
            // They grow to some ten, and are emptied now and then.
            if list.len() < 10 && round % 50 < 30 && next() % 3 > 0 {
                list.push(Box::new(Token::new()));
                let token: *const Token = &raw const **list.last().unwrap();
                // SAFETY: boxed, in no list, and taken out below.
                unsafe {
                    match at {
                        0 => waiting.senders.push_back(token),
                        1 => waiting.receivers_mut().push_back(token),
                        _ => waiting.closers_mut().push_back(token),
                    }
                }
            } else if next() % 2 == 0 {
                let popped = match at {
                    0 => waiting.senders.pop_front(),
                    1 => waiting.receivers_mut().pop_front(),
                    _ => waiting.closers_mut().pop_front(),
                };
                let first = (!list.is_empty()).then(|| list.remove(0));
                assert_eq!(popped, first.map(|first| &raw const *first));
            } else if !list.is_empty() {
                let gone = list.remove(next() % list.len());
                // SAFETY: it stands in this list.
                unsafe {
                    match at {
                        0 => waiting.senders.remove(&raw const *gone),
                        1 => waiting.receivers_mut().remove(&raw const *gone),
                        _ => waiting.closers_mut().remove(&raw const *gone),
                    }
                }
            }
            if next() % 4 == 0 {
                abandoned.count(&mut waiting);
                expected_abandoned += 1;
            }

            let expected = lists.each_ref().map(|list| {
                list.iter().map(|token| &raw const **token).collect::<Vec<*const Token>>()
            });
            assert_eq!(addresses(&waiting.senders), expected[0]);
            assert_eq!(addresses(waiting.receivers()), expected[1]);
            assert_eq!(addresses(waiting.closers()), expected[2]);
            assert_eq!(waiting.senders.count() as usize, expected[0].len());
            assert_eq!(waiting.receivers().count() as usize, expected[1].len());
            assert_eq!(waiting.closers().is_empty(), expected[2].is_empty());
            assert_eq!(waiting.is_quiet(), expected[0].is_empty() && expected[1].is_empty());
            assert_eq!(abandoned.get(&waiting), expected_abandoned);
        }
    }
}
