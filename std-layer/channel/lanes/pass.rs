//! Values that pass a lane: the common case, which calls nothing, and all others.

use super::lane::{End, Way};
use super::{Lanes, Side};
use crate::channel::aside::{Missed, Passed};
use crate::prefetch;
use crate::std_layer::channel::distance;

/// How often a receiver that has closed up passes over the question whether there are several senders, if there were.
const ASKED_AGAIN: u8 = 63;

impl<T> Lanes<T> {
    /// Sends, if the lane's lock is biased to this thread, and nothing else is to be seen to. It calls nothing, but to copy a
    /// large value, so who needs no more has no registers to save.
    #[inline(always)]
    pub(in crate::std_layer::channel) fn send_at_once(&self, value: T) -> Result<(), T> {
        let Some((mut end, passed)) = self.tail.enter_at_once(&self.head) else {
            return Err(value);
        };
        self.put(&mut end, passed, value);
        Ok(())
    }

    /// The same of what is there, which stays there otherwise; whether it has.
    #[inline(always)]
    pub(in crate::std_layer::channel) fn send_from(&self, place: &mut Option<T>) -> bool {
        let Some((mut end, passed)) = self.tail.enter_at_once(&self.head) else { return false };
        let Some(value) = place.take() else { return false };
        self.put(&mut end, passed, value);
        true
    }

    /// As `send_at_once`, whatever there is to be seen to. An unhurried one may take a moment longer.
    #[inline(never)]
    pub(super) fn send_slowly(
        &self,
        value: T,
        counts: bool,
        unhurried: bool,
    ) -> Result<(), Missed<T>> {
        if let Err(way) = self.tail.look() {
            return Err(self.refuse(Side::Sends, way, value, counts));
        }
        let mut end = match self.enter(&self.tail) {
            Ok(end) => end,
            Err(way) => return Err(self.refuse(Side::Sends, way, value, counts)),
        };
        let passed = self.tail.own_passed();
        let mut has_closed_up = false;
        if passed >= self.tail.limit() {
            let seen = self.head.passed_for_certain(|seen| end.between(passed, seen) > 0);
            let room = end.between(passed, seen);
            if room == 0 {
                return Err(end.miss(value, counts));
            }
            if passed == end.last {
                return Err(Missed::Spent(value));
            }
            self.tail.see(&end, seen);
            // Other values are passed so soon that the time it gives would be lost.
            has_closed_up =
                unhurried && end.weighs() && distance::has_little_room(room, end.count as usize);
        }
        let bound = end.count as usize;
        self.put(&mut end, passed, value);
        drop(end);
        if has_closed_up {
            let room = || bound.saturating_sub(passed.wrapping_sub(self.head.passed()));
            distance::fall_back(room, bound);
        }
        Ok(())
    }

    /// There is room.
    #[inline(always)]
    fn put(&self, end: &mut End<T>, passed: usize, value: T) {
        let slot = end.pass();
        let more = || {
            // Whichever look was the last.
            let seen = end.deep.wrapping_sub(end.high_water);
            let room = end.between(passed, seen).max(self.tail.limit().wrapping_sub(passed));
            room.min(end.last.wrapping_sub(passed))
        };
        end.fetch_slots(slot, more, prefetch::to_write);
        // Weighed where it lies: with its address taken before, a message would be written to the stack in two halves and read back as one,
        // for which a processor waits.
        // SAFETY: the slot is free: fewer values than there may be were between the two ends, which the
        // receiver's Release store told, and nobody else sends while the lane is held.
        self.uses(slot, |slot| end.weigh(unsafe { (*slot).write(value) }));
        let passed = passed.wrapping_add(1);
        self.tail.publish(passed);
        // Afterwards, so that what has to be waited for does not keep the value back: before, a value from one thread to another took a fifth longer.
        if passed > end.deep {
            // What was seen is old. This many there are now, as nobody else sends; and this one was there, even if it has gone by now.
            let seen = self.head.passed();
            end.deep = seen.wrapping_add(end.high_water);
            if passed > end.deep {
                end.rise(passed.wrapping_sub(seen), passed);
            }
        }
    }

    /// Receives, as [`send_at_once`](Self::send_at_once) sends.
    #[inline(always)]
    pub(in crate::std_layer::channel) fn recv_at_once(&self) -> Option<T> {
        let (mut end, passed) = self.head.enter_at_once(&self.tail)?;
        Some(self.take(&mut end, passed))
    }

    /// As [`send_slowly`](Self::send_slowly).
    #[inline(never)]
    pub(super) fn recv_slowly(&self, counts: bool, unhurried: bool) -> Result<T, Missed<()>> {
        let refuse = |way| self.refuse(Side::Receives, way, (), counts);
        self.head.look().map_err(refuse)?;
        let mut end = self.enter(&self.head).map_err(refuse)?;
        let passed = self.head.own_passed();
        let mut has_closed_up = false;
        if passed >= self.head.limit() {
            let seen = self.tail.passed_for_certain(|seen| end.between(passed, seen) > 0);
            if end.between(passed, seen) == 0 {
                return Err(end.miss((), counts));
            }
            if passed == end.last {
                return Err(Missed::Spent(()));
            }
            self.head.see(&end, seen);
            has_closed_up = unhurried
                && end.weighs()
                && distance::has_few_values(seen.wrapping_sub(passed), end.count as usize)
                && self.has_one_sender(&mut end);
        }
        let count = end.count as usize;
        let value = self.take(&mut end, passed);
        drop(end);
        if has_closed_up {
            let passed = passed.wrapping_add(1);
            distance::stay_behind(|| self.tail.passed().wrapping_sub(passed), count);
        }
        Ok(value)
    }

    /// There is a value.
    #[inline(always)]
    fn take(&self, end: &mut End<T>, passed: usize) -> T {
        let slot = end.pass();
        if !Passed::may_weigh::<T>() {
            // Of messages there is more to be fetched than that, and it is of no use to them.
            let more = || self.head.limit().wrapping_sub(passed);
            end.fetch_slots(slot, more, prefetch::to_read);
        }
        end.fetch(|| self.head.limit().wrapping_sub(passed.wrapping_add(1)));
        let value = self.uses(slot, |slot| {
            // SAFETY: the slot holds a value: the sender has passed it, told by its Release store, and no receiver has.
            let value = unsafe { &mut *slot };
            // Where it lies: what is then moved in one piece has not been written in several just before, for which a processor waits.
            // SAFETY: as above.
            end.weigh(unsafe { value.assume_init_mut() });
            // SAFETY: as above; the value leaves here.
            unsafe { value.assume_init_read() }
        });
        self.head.publish(passed.wrapping_add(1));
        value
    }

    /// Of several senders each may wait for the receiver, which is not to wait for them. To a receiver, whose end this is; the answer is in
    /// a line of the senders', so it is not asked for again and again.
    #[inline]
    fn has_one_sender(&self, end: &mut End<T>) -> bool {
        if end.not_asked > 0 {
            end.not_asked -= 1;
            return false;
        }
        let is_one = self.tail.lock.is_biased();
        end.not_asked = if is_one { 0 } else { ASKED_AGAIN };
        is_one
    }

    /// Why somebody who came with `value` cannot pass a lane.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse<V>(&self, side: Side, way: Way, value: V, counts: bool) -> Missed<V> {
        match way {
            Way::Away => Missed::Away(value),
            _ if !counts && self.sign().waits(side) => Missed::NotNow(value),
            _ => Missed::Shut(value),
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::channel::aside::{Lending, Lent, Window};
    use crate::sync::asymmetric_fence;

    /// So often a lock is taken at the most before it is biased, in tests.
    const OFTEN: u64 = 16;

    /// Four slots with nothing in them.
    fn empty(slots: *mut MaybeUninit<u64>) -> Lent<u64> {
        let window = || Window { slots, at: 0, left: usize::MAX };
        Lent {
            tail: window(),
            head: window(),
            turn: 4,
            len: 0,
            room: 4,
            promised: [0; 2],
            high_water: 0,
            is_closed: false,
            weighs: false,
        }
    }

    #[test]
    fn who_has_a_lane_to_itself_calls_nothing_there() {
        asymmetric_fence::prepare();
        let mut slots = [const { MaybeUninit::uninit() }; 4];
        let slots = slots.as_mut_ptr();
        let lanes = Lanes::<u64>::NEW;
        // SAFETY: these slots are the lanes' until the test's end.
        unsafe { lanes.lend(empty(slots)) };
        for value in 0..OFTEN {
            assert!(lanes.send(value, false).is_ok());
            assert!(matches!(lanes.recv(false), Ok(received) if received == value));
        }
        let biases = asymmetric_fence::is_there();
        assert_eq!(lanes.recv_at_once(), None);
        for value in 0..4 {
            assert_eq!(lanes.send_at_once(value).is_ok(), biases);
            if !biases {
                assert!(lanes.send(value, false).is_ok());
            }
        }
        assert_eq!(lanes.send_at_once(4), Err(4));
        assert_eq!(lanes.recv_at_once(), biases.then_some(0));
        lanes.recall();
        assert_eq!((lanes.send_at_once(5), lanes.recv_at_once()), (Err(5), None));
    }

    /// A loan of four slots, of which three hold values, and one is empty but promised; two values are promised, too.
    #[test]
    fn what_is_promised_is_left_there() {
        let mut slots = [0, 1, 2, 9].map(MaybeUninit::new);
        let slots = slots.as_mut_ptr();
        let lanes = Lanes::<u64>::NEW;
        let tail = Window { slots, at: 3, left: usize::MAX };
        let lent = Lent { tail, len: 3, promised: [1, 2], high_water: 3, ..empty(slots) };
        // SAFETY: these slots are the lanes' until the test's end.
        unsafe { lanes.lend(lent) };
        assert!(matches!(lanes.send(3, true), Err(Missed::NotNow(3))));
        assert!(matches!(lanes.recv(false), Ok(0)));
        assert!(matches!(lanes.recv(true), Err(Missed::NotNow(()))));
        assert!(lanes.send(3, false).is_ok());
        assert!(matches!(lanes.send(4, false), Err(Missed::NotNow(4))));
        assert!(matches!(lanes.recv(false), Ok(1)));
        assert!(matches!(lanes.recv(false), Err(Missed::NotNow(()))));
        let returned = lanes.recall().expect("it was lent");
        assert_eq!((returned.sends.values, returned.recvs.values), (1, 2));
        assert_eq!((returned.sends.failures, returned.recvs.failures), (1, 1));
        assert_eq!(returned.high_water, 3);
    }

    #[test]
    fn the_highest_depth_is_what_there_was_at_once() {
        let mut slots = [const { MaybeUninit::<u64>::uninit() }; 4];
        let slots = slots.as_mut_ptr();
        let lanes = Lanes::<u64>::NEW;
        // SAFETY: as above.
        let lend = || unsafe { lanes.lend(empty(slots)) };
        let high_water = || lanes.recall().map(|returned| returned.high_water);
        lend();
        assert_eq!(high_water(), Some(0));
        lend();
        for value in 0..9 {
            assert!(lanes.send(value, false).is_ok());
            assert!(matches!(lanes.recv(false), Ok(received) if received == value));
        }
        assert_eq!(high_water(), Some(1));
        lend();
        for _ in 0..2 {
            assert!(lanes.send(1, false).is_ok());
            assert!(lanes.recv(false).is_ok());
            (0..3).for_each(|value| assert!(lanes.send(value, false).is_ok()));
            (0..3).for_each(|value| assert!(matches!(lanes.recv(false), Ok(is) if is == value)));
        }
        assert_eq!(high_water(), Some(3));
    }
}
