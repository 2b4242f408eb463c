//! The common cases of operations that wait, or find others waiting: the part of the [state machine](super::state) that
//! leaves nobody to be helped, so that one critical section is all.
//!
//! Each of these does all of what it says, or nothing. Closed channels, broadcasts with waiters and arms of
//! selects, which must be claimed, are left to the long way; so are meetings, but for those [between threads](super::encounter).
//! Nobody looks here whether somebody else was interrupted halfway: that one goes on itself.

use core::task::Waker;

use super::aside::Aside;
use super::parking::RecvTokenOf;
use super::state::State;
use super::store::{Store, Strategy};
use crate::sync::wait::{State as TokenState, Token};

/// What was received, memory no longer needed, and a sender to be told.
pub(super) type Pulled<T, S> =
    (<S as Strategy<T>>::Received, Option<<S as Strategy<T>>::Growth>, Option<Waker>);

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether a newcomer's send leaves nobody to be helped: nobody waits to send, and if somebody waits to receive, it
    /// is no arm of a select. Then it is to be [delivered](Self::deliver).
    #[inline]
    pub(super) fn sends_at_once(&self) -> bool {
        // Room is found in open channels only.
        let room =
            self.has_room() || S::LOSES && self.waiting.receivers().is_empty() && !self.is_closed();
        let delivers = |first: &Token| !S::SHARES && !first.is_arm();
        !S::MEETS
            && room
            && self.waiting.senders.is_empty()
            && self.waiting.receivers().front().is_none_or(delivers)
    }

    /// Whether a sender that keeps its promise leaves nobody to be helped: nobody waits for memory, and nobody to receive
    /// (or, where there are threads, one that is no arm of a select). Then it is to be [filled](Self::fill). What is
    /// broadcast while nobody listens leaves its slot to the next sender.
    #[inline]
    pub(super) fn fills_at_once(&self) -> bool {
        let first = self.waiting.receivers().front();
        let is_quick = first.is_none_or(|first| S::Aside::LENDS && !S::SHARES && !first.is_arm());
        let takes_slot = !S::SHARES || self.waiting.senders.is_empty();
        !S::MEETS && !self.is_closed() && is_quick && takes_slot && !self.waits_for_memory()
    }

    /// Keeps the promise.
    #[inline]
    pub(super) fn fill(&mut self, value: T, rank: S::Rank) -> (Option<T>, Option<Waker>) {
        self.promised_slots -= 1;
        let waits = S::Aside::LENDS && !self.waiting.receivers().is_empty();
        let replaced = self.put(value, rank);
        (replaced, if waits { self.pass_on() } else { None })
    }

    /// Puts a value in, and promises it to the receiver that has waited longest, if one waits. It can be
    /// [sent at once](Self::sends_at_once).
    #[inline]
    pub(super) fn deliver(&mut self, value: T, rank: S::Rank) -> (Option<T>, Option<Waker>) {
        // Before the value is stored, as the compiler has just seen it, and cannot know that it is the same afterwards.
        let waits = !self.waiting.receivers().is_empty();
        let done = if let Some(place) = self.first_landing() {
            *place = Some(self.pass_by(value));
            (None, self.waiting.receivers_mut().settle_front(TokenState::Taken))
        } else {
            let replaced = self.put(value, rank);
            (replaced, if waits { self.pass_on() } else { None })
        };
        // Nobody waits to send: that has been looked at.
        if self.waiting.receivers().is_empty() {
            self.flags.note_crowd(false);
        }
        done
    }

    /// The same where that calls nothing: who has waited longest to receive, if anybody does, comes for its value. Whom that is to be told.
    #[inline(always)]
    pub(super) fn deliver_plainly(
        &mut self,
        value: &mut Option<T>,
        rank: S::Rank,
    ) -> Option<Option<Waker>> {
        if !self.sends_at_once() {
            return None;
        }
        let waker = self.put_plainly(value, rank, 0)?;
        // Nobody waits to send: that has been looked at.
        if self.waiting.receivers().is_empty() {
            self.flags.note_crowd(false);
        }
        Some(waker)
    }

    /// The same of a sender that keeps its promise.
    #[inline(always)]
    pub(super) fn fill_plainly(
        &mut self,
        value: &mut Option<T>,
        rank: S::Rank,
    ) -> Option<Option<Waker>> {
        if !self.fills_at_once() {
            return None;
        }
        self.put_plainly(value, rank, 1)
    }

    /// The rest of both, with so many promises kept by it. The value is taken only if it returns something.
    #[inline(always)]
    fn put_plainly(
        &mut self,
        value: &mut Option<T>,
        rank: S::Rank,
        kept: u32,
    ) -> Option<Option<Waker>> {
        let first = self.waiting.receivers().front();
        if first.is_some_and(|first| !first.is_plain()) || value.is_none() {
            return None;
        }
        // Before the value is stored, as the compiler knows now that there is one, or none.
        let waker = match first {
            Some(_) => {
                self.promised_values += 1;
                self.waiting.receivers_mut().settle_front(TokenState::Granted)
            }
            None => None,
        };
        self.promised_slots -= kept;
        let replaced = self.put(value.take()?, rank);
        debug_assert!(replaced.is_none());
        // The compiler cannot know that.
        core::mem::forget(replaced);
        Some(waker)
    }

    /// Whether each value that is put in is one more, and is there for one receiver, and no memory is needed for it. Only then is anything done *plainly*:
    /// see [`locked_plainly`](super::Channel::locked_plainly).
    pub(super) const IS_PLAIN: bool =
        Self::ADDS_ONE && !(S::MEETS || S::SHARES || S::LOSES || S::GROWS);

    /// Where the receiver that has waited longest finds a value, if it stays for that; not past values that are promised to
    /// others.
    #[inline]
    fn first_landing<'r>(&self) -> Option<&'r mut Option<S::Received>> {
        let first = self.waiting.receivers().first()?;
        // SAFETY: in the list, hence alive while the lock is held. Every token of this list heads a `RecvToken`, whose place
        // is nobody else's while it is queued.
        let place = unsafe { (*first.cast::<RecvTokenOf<T, S>>()).place().as_mut() }?;
        (self.store.len() == 0).then_some(place)
    }

    /// Promises the value that was just put in to the receiver that has waited longest.
    #[inline]
    fn pass_on(&mut self) -> Option<Waker> {
        // What was promised before, and has been replaced, is made up for by this one.
        if Self::ADDS_ONE || self.store.len() > self.promised_values() {
            self.promised_values += 1;
            self.waiting.receivers_mut().settle_front(TokenState::Granted)
        } else {
            None
        }
    }

    /// Whether a newcomer that wants to send must wait.
    #[inline]
    pub(super) fn send_waits(&self) -> bool {
        !(S::LOSES || self.is_closed() || self.waiting.senders.is_empty() && self.has_room())
    }

    /// Whether a newcomer that wants to receive must wait.
    #[inline]
    pub(super) fn recv_waits(&self, reader: S::Reader) -> bool {
        !(self.has_unpromised(reader) || self.is_closed() || self.waits_for_memory())
    }

    /// Whether a newcomer's receive leaves nobody to be helped: there is a value, nobody waits to receive, and if
    /// somebody waits to send, it is no arm of a select. Then it is to be [collected](Self::collect_at_once).
    #[inline]
    pub(super) fn receives_at_once(&self, reader: S::Reader) -> bool {
        !S::MEETS
            && self.waiting.receivers().is_empty()
            && self.has_unpromised(reader)
            && self.collects_at_once()
    }

    /// If that is so, collects it.
    #[inline]
    pub(super) fn collect_at_once(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        if !self.receives_at_once(reader) {
            return None;
        }
        let pulled = self.collect(reader);
        // Nor does anybody wait to receive: that has been looked at.
        if self.waiting.senders.is_empty() {
            self.flags.note_crowd(false);
        }
        pulled
    }

    /// The same where there may be lanes. Where nobody waits there is nobody to tell that a closed channel is empty: so it is drained quickly, too.
    #[inline]
    pub(super) fn collect_from_lender(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        if let Some(pulled) = self.collect_at_once(reader) {
            return Some(pulled);
        }
        let (value, unused) = self.take_quickly(self.is_quiet(), reader)?;
        Some((value, unused, None))
    }

    /// The same, apart, for who looks for that only in the end.
    #[inline(never)]
    pub(super) fn collect_after_all(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        self.collect_from_lender(reader)
    }

    /// Whether what a value leaves can be promised in the same step. Once the channel is closed, the last value's
    /// receiver tells the others.
    #[inline]
    pub(super) fn collects_at_once(&self) -> bool {
        !self.is_closed() && self.leaves_slot_quickly()
    }

    /// Whether a receiver that keeps its promise leaves nobody to be helped. Were its slot filled in the same step, there
    /// would be one more to be told.
    #[inline]
    pub(super) fn collects_promised(&self) -> bool {
        if S::SHARES || !self.is_crowded() {
            // Where nobody waits nobody is to be told that a closed channel is empty.
            return !S::SHARES;
        }
        let fills = !self.waiting.receivers().is_empty() && self.admits_first();
        self.collects_at_once() && !fills
    }

    /// A newcomer's receive, where that calls nothing and nobody waits to receive.
    #[inline(always)]
    pub(super) fn take_plainly(
        &mut self,
        reader: S::Reader,
    ) -> Option<(S::Received, Option<Waker>)> {
        let is_free = self.waiting.receivers().is_empty() && self.has_unpromised(reader);
        if is_free { self.collect_plainly(reader) } else { None }
    }

    /// The same if nobody waits to send.
    #[inline(always)]
    pub(super) fn collect_alone(&mut self, reader: S::Reader) -> Option<S::Received> {
        if self.is_closed() || !self.waiting.senders.is_empty() {
            return None;
        }
        self.pop(reader).map(|(value, _)| value)
    }

    /// Takes a value out where that calls nothing: who has waited longest to send, if anybody does, comes to do that. Whom that is to be told.
    #[inline(always)]
    pub(super) fn collect_plainly(
        &mut self,
        reader: S::Reader,
    ) -> Option<(S::Received, Option<Waker>)> {
        let first = self.waiting.senders.front();
        if self.is_closed() || first.is_some_and(|first| !first.is_plain()) {
            return None;
        }
        let waits = first.is_some();
        let (value, _) = self.pop(reader)?;
        if !waits {
            return Some((value, None));
        }
        self.promised_slots += 1;
        Some((value, self.waiting.senders.settle_front(TokenState::Granted)))
    }

    /// Takes a value out, and promises its slot to the sender that has waited longest, if one waits.
    #[cfg_attr(feature = "std", inline(always))]
    #[cfg_attr(not(feature = "std"), inline)]
    pub(super) fn collect(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        let (value, unused) = self.pop(reader)?;
        Some((value, unused, self.leave_slot()))
    }

    /// Whether the slot that a value leaves can be promised in the same step.
    #[inline]
    fn leaves_slot_quickly(&self) -> bool {
        self.waiting.senders.front().is_none_or(|first| !S::GROWS && !S::SHARES && !first.is_arm())
    }

    /// Promises it to the sender that has waited longest, or puts its value there.
    #[inline]
    fn leave_slot(&mut self) -> Option<Waker> {
        if self.waiting.senders.is_empty() { None } else { self.leave_slot_to_first() }
    }

    /// The same, as one waits.
    #[cfg_attr(feature = "std", inline(never))]
    #[cfg_attr(not(feature = "std"), inline(always))]
    fn leave_slot_to_first(&mut self) -> Option<Waker> {
        // No more slots are promised than there were free ones, and now there is one more.
        debug_assert!(S::GROWS || S::SHARES || self.has_room());
        if self.admits_first() {
            self.admit_first()
        } else {
            self.promised_slots += 1;
            self.waiting.senders.settle_front(TokenState::Granted)
        }
    }

    /// Whether the sender that has waited longest need not come and keep a promise: it stays, so its value may go in
    /// without it, and it is told when that has been done.
    #[inline]
    pub(super) fn admits_first(&self) -> bool {
        Self::ADMITS && self.waiting.senders.front().is_some_and(Token::stays)
    }

    /// That is done. There is room.
    #[inline]
    pub(super) fn admit_first(&mut self) -> Option<Waker> {
        let first = self.waiting.senders.first()?;
        // SAFETY: found in this list just now; it stays, so it is not bare, and heads a `SendToken`.
        let (value, waker) = unsafe { self.collect_from(first) };
        if let Some(value) = value {
            let _ = self.put(value, S::Rank::default());
        }
        waker
    }

    /// Whether values of those who wait may go in without them: where it can be told from the value alone where it goes,
    /// and whom it is for.
    const ADMITS: bool = !S::MEETS && !S::GROWS && !S::SHARES && size_of::<S::Rank>() == 0;

    /// Whether senders wait for memory: the first of them may have to be told that it is.
    #[inline]
    pub(super) fn waits_for_memory(&self) -> bool {
        S::GROWS && !self.waiting.senders.is_empty()
    }

    /// Whether there is a value for `reader` that was promised to nobody.
    #[inline]
    pub(super) fn has_unpromised(&self, reader: S::Reader) -> bool {
        self.store.available(reader) > self.promised_values()
    }
}
